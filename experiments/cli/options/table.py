"""The options of ``codeclab table``."""

import argparse

from codeclab.experiments.cli.options.shared import add_split
from codeclab.experiments.config.files import LANGUAGE_MODELS, SCALES, names


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab table``."""
    parser = argparse.ArgumentParser(
        prog="codeclab table",
        description="Train every row of a table that is not trained yet, measure all on the same files, and print the "
        "table; it is also written as Markdown, CSV and LaTeX with a plot. First it says what that will take. The same "
        "command continues after an interruption and redoes nothing; several may run on one folder.",
        epilog="`codeclab tables` lists the tables. Any other flag goes to every row, as in "
        "--trainer.max_steps 1000 (see `codeclab fit --help`).",
        allow_abbrev=False,
    )
    parser.add_argument("name", help="a table's name, or a .yaml file")
    parser.add_argument("--scale", help=f"{', '.join(names(SCALES))} (default: the table's own, else the recipe's)")
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="audio to train and measure on; `recordings` ship with codeclab, `synthetic` sounds are made in memory "
        "(default: the table's own, else synthetic)",
    )
    add_split(
        parser,
        "which part of it rows are measured on that are not trained (default: test; all where no row is trained)",
    )
    parser.add_argument("--rows", metavar="NAME", nargs="+", help="only these rows")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="train each row N times, and print the mean (default: the scale's, else 1)",
    )
    parser.add_argument(
        "--fit-lm",
        metavar="RECIPE",
        help="train a language model on each row's codes too, for tables with the column `entropy_coded`: "
        f"{' or '.join(names(LANGUAGE_MODELS))}, or a .yaml file (see `codeclab fit-lm`)",
    )
    parser.add_argument("--runs", metavar="FOLDER", default="runs", help="where runs are kept (default: runs)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes for ViSQOL (default: 2; none where rows share the cores)"
    )
    parser.add_argument(
        "--devices", metavar="GPUS", help="a row on each of these GPUs at a time: 0,2,3 (one: 2,) or a count"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="N rows at a time, sharing the cores (default without a GPU: as many as there are cores, a thread each); "
        "with --devices, N on each GPU",
    )
    parser.add_argument(
        "--launcher", choices=("local", "slurm"), default="local", help="where rows are made (default: local)"
    )
    parser.add_argument(
        "--slurm",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        help="what Slurm is asked for, as in partition=gpu timeout_min=720 gpus_per_node=1 cpus_per_task=8",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what it will take, and stop")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="where to write (default: RUNS/TABLE-SCALE)")
    return parser
