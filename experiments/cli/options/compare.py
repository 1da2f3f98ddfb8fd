"""The options of ``codeclab compare``."""

import argparse

from codeclab.benchmarks.metrics.registry import QUICK_METRICS
from codeclab.experiments.cli.options.shared import add_measuring, add_split, output_folder
from codeclab.experiments.config.part_names import baseline_names


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab compare``."""
    parser = argparse.ArgumentParser(
        prog="codeclab compare",
        description="Measure runs, codecs and baselines on the same clips against the same originals, and print one "
        "table: figures with 95 % intervals, and differences to the first, clip by clip. Earlier measurements are kept "
        "and extended.",
        epilog=f"Example: codeclab compare runs/A runs/B Opus --bitrates 6 --data FOLDER. Baselines: "
        f"{', '.join(baseline_names())}.",
    )
    parser.add_argument("subjects", nargs="+", metavar="WHAT", help="a run (runs/NAME), a codec, or a baseline's name")
    parser.add_argument(
        "--bitrates", metavar="KBPS", type=float, nargs="+", help="kbps (default: all that the codecs offer)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to measure on (default: the first run's data)")
    add_split(parser, "split (default: test; all of audio without a given test split that none was trained on)")
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        default=QUICK_METRICS,
        help=f"metrics to compute (default: {' '.join(QUICK_METRICS)})",
    )
    parser.add_argument(
        "--sample-rate",
        type=int,
        metavar="HZ",
        help="sampling rate of the originals (default: the highest of the codecs)",
    )
    add_measuring(parser, seconds="10")
    parser.add_argument(
        "-o", "--output", type=output_folder, metavar="FOLDER", help="where to write (default: comparisons/NAMES)"
    )
    return parser
