"""The options of ``codeclab report``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, add_split, run_name


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab report``."""
    parser = argparse.ArgumentParser(
        prog="codeclab report",
        description="Compare runs on one page that needs no other file: the table (sortable, filterable), quality over "
        "bitrate with published figures, losses and codebooks over training, and for each test clip a player that "
        "switches between the original and every codec in place, with spectrograms.",
        epilog="Runs need figures: of `codeclab table`, or of `codeclab evaluate RUN`.",
    )
    parser.add_argument(
        "runs",
        type=run_name,
        metavar="RUN",
        nargs="+",
        help="a run's folder (runs/NAME), or the folder that `codeclab table` wrote, with all its rows",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="where to write (default: report.html)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to listen to (default: what was measured on)")
    add_split(parser, "which part of it (default: test; all where nothing was trained on it)")
    parser.add_argument("--clips", type=int, metavar="N", help="at most N clips (default: all that fit)")
    parser.add_argument(
        "--max-mb", type=float, metavar="MB", default=20.0, help="size of the page at the most (default: 20)"
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    add_imports(parser)
    return parser
