"""The options of ``codeclab evaluate``."""

import argparse

from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS, METRICS
from codeclab.experiments.cli.options.shared import add_measuring, add_split, output_folder, run_name
from codeclab.experiments.config.part_names import baseline_names


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab evaluate``."""
    parser = argparse.ArgumentParser(
        prog="codeclab evaluate",
        description="Measure a trained codec at every bitrate it offers, or a baseline at the requested ones, by file, "
        "by domain and in total, with 95 % intervals. Writes or extends per_file.csv, codebooks.csv, "
        "summary.csv and evaluation.json.",
        epilog=f"Metrics: {', '.join(METRICS)}. Baselines: {', '.join(baseline_names())}, as in: --baseline Opus "
        "--data FOLDER --bitrates 6 12; --baseline CommandBaseline file=mine.yaml",
    )
    parser.add_argument(
        "run",
        type=run_name,
        nargs="?",
        help="a run's folder (runs/NAME), what Codec.from_pretrained reads, any codec of transformers "
        "(transformers:NAME_OR_FOLDER), or FILE.py with encode and decode",
    )
    parser.add_argument(
        "--baseline",
        metavar="WORD",
        nargs="+",
        help="measure a baseline instead of a run: its name, then ARGUMENT=VALUE …",
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to measure on (default: the run's data)")
    parser.add_argument(
        "--sample-rate", type=int, metavar="HZ", help="rate of the originals (default: the codec's, or 48000)"
    )
    add_split(parser, "split (default: test; all of audio without a given test split that nothing was trained on)")
    parser.add_argument(
        "--bitrates", metavar="KBPS", type=float, nargs="+", help="kbps (default: all that the codec offers)"
    )
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help=f"metrics (default: {' '.join(DEFAULT_METRICS)})")
    parser.add_argument(
        "--entropy",
        action="store_true",
        help="measure kbps with each of the codec's entropy coders (codeclab fit-lm); without --metrics, only these",
    )
    parser.add_argument(
        "--language-model",
        metavar="FOLDER",
        help="output of fit-lm (default: in the codec's folder)",
    )
    add_measuring(parser, seconds="the run's")
    parser.add_argument(
        "-o",
        "--output",
        type=output_folder,
        metavar="FOLDER",
        help="output (default: RUN/evaluation, or evaluations/NAME)",
    )
    return parser
