"""The options of ``codeclab report``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, add_split, output_file, run_name


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab report``."""
    parser = argparse.ArgumentParser(
        prog="codeclab report",
        description="Compare runs on one page that needs no other file. It has the table (sortable, filterable), "
        "quality over bitrate with published figures, losses and codebooks over training, and for each test clip a "
        "player that switches between the original and every codec in place, with spectrograms.",
        epilog="Runs need figures from `codeclab table` or `codeclab evaluate RUN`.",
    )
    parser.add_argument(
        "runs",
        type=run_name,
        metavar="RUN",
        nargs="+",
        help="a run's folder (runs/NAME), or a folder written by `codeclab table` (all its rows)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=output_file,
        metavar="FILE",
        default="report.html",
        help="where to write (default: report.html)",
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to listen to (default: what the runs were measured on)")
    add_split(parser, "split (default: test; all of audio without a given test split that nothing was trained on)")
    parser.add_argument("--clips", type=int, metavar="N", help="at most N clips (default: all that fit)")
    parser.add_argument(
        "--max-mb", type=float, metavar="MB", default=20.0, help="largest size of the page (default: 20)"
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda if available)")
    add_imports(parser)
    return parser
