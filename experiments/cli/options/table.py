"""The options of ``codeclab table``."""

import argparse

from codeclab.experiments.cli.options.shared import add_run_code, add_split, output_folder
from codeclab.experiments.config.files import LANGUAGE_MODELS, SCALES, names


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab table``."""
    parser = argparse.ArgumentParser(
        prog="codeclab table",
        description="Train every row of a table that is not trained yet, measure all rows on the same files, and print "
        "the table. It is also written as Markdown, CSV and LaTeX, with a plot. First, the expected time and disk are "
        "printed. The same command continues after an interruption and repeats nothing; several may share one folder.",
        epilog="`codeclab tables` lists the tables. Any other flag goes to every row, as in "
        "--trainer.max_steps 1000 (see `codeclab fit --help`).",
        allow_abbrev=False,
    )
    parser.add_argument("name", help="a table's name, or a .yaml file")
    parser.add_argument("--scale", help=f"{', '.join(names(SCALES))} (default: the table's, else the recipe's)")
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="audio to train and measure on; `recordings` ship with codeclab, `synthetic` sounds are made in memory "
        "(default: the table's, else synthetic)",
    )
    add_split(
        parser,
        "split for rows that are not trained (default: test; where none is, all of audio without a given test split)",
    )
    parser.add_argument("--rows", metavar="NAME", nargs="+", help="only these rows")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="train each row N times, and print the means (default: the scale's, else 1)",
    )
    parser.add_argument(
        "--fit-lm",
        metavar="RECIPE",
        help="also train a language model on each row's codes, for tables with the column `entropy_coded`: "
        f"{' or '.join(names(LANGUAGE_MODELS))}, or a .yaml file (see `codeclab fit-lm`)",
    )
    parser.add_argument("--runs", metavar="FOLDER", default="runs", help="where runs are kept (default: runs)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes for ViSQOL (default: 2; none if rows share the cores)"
    )
    parser.add_argument(
        "--devices",
        metavar="GPUS",
        help="GPUs to use, as numbers (0,2,3; a single one: 2,) or a count; each trains one row at a time",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="train N rows at a time, sharing the cores (default without a GPU: one row per core, with one thread "
        "each); with --devices, N on each GPU",
    )
    parser.add_argument(
        "--launcher", choices=("local", "slurm"), default="local", help="where rows are trained (default: local)"
    )
    parser.add_argument(
        "--slurm",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        help="resources requested from Slurm, as in partition=gpu timeout_min=720 gpus_per_node=1 cpus_per_task=8",
    )
    add_run_code(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the expected time and disk, and stop")
    parser.add_argument(
        "-o", "--output", type=output_folder, metavar="FOLDER", help="where to write (default: RUNS/TABLE-SCALE)"
    )
    return parser
