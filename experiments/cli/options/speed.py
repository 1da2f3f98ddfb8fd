"""The options of ``codeclab speed``."""

import argparse

from codeclab.codecs.io.box import BOX
from codeclab.experiments.cli.options.shared import add_imports, output_file, run_name
from codeclab.experiments.runs.speed.sweep_names import SWEEPS


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab speed``; other flags are those of ``codeclab fit``."""
    parser = argparse.ArgumentParser(
        prog="codeclab speed",
        allow_abbrev=False,
        description="Time training, inference (coding), data (reading batches) or metrics on this machine, in turns. "
        "Prints medians, spreads, and the speed of a matrix product and a copy. Run nothing else at the same time.",
        epilog="train and data take the flags of codeclab fit (--config, --data, …). Examples: codeclab speed "
        "inference; codeclab speed inference --recipe encodec_24khz --bitrate 6; codeclab speed train --config "
        "dac_44khz --scale laptop; codeclab speed train --config dac_44khz --scale laptop --sweep batch --plot "
        "batch.svg",
    )
    parser.add_argument("what", choices=("train", "inference", "data", "metrics"), help="what to time")
    parser.add_argument(
        "--codec",
        default=BOX,
        type=run_name,
        metavar="CODEC",
        help="codec to time: a run or a codec (inference only; default: box)",
    )
    parser.add_argument("--recipe", metavar="NAME", help="time this recipe's untrained codec instead (inference only)")
    parser.add_argument("--scale", metavar="SCALE", help="scale of the recipe (inference, train and data)")
    parser.add_argument(
        "--bitrate", type=float, metavar="KBPS", help="kbps to code at (inference only; default: the codec's highest)"
    )
    parser.add_argument(
        "--length", type=float, default=5.0, metavar="S", help="seconds of audio to code (inference only; default: 5)"
    )
    parser.add_argument(
        "--metrics", nargs="+", metavar="NAME", help="metrics to time (metrics only; default: all that are installed)"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="runs or batches to time (default: 5)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of torch (default: 1; for train, torch's own number)"
    )
    parser.add_argument(
        "--sweep", choices=tuple(SWEEPS), help="size to vary, each value timed in a process of its own (train only)"
    )
    parser.add_argument(
        "--values", type=float, nargs="+", metavar="V", help="values of the swept size (default: a few doublings)"
    )
    parser.add_argument(
        "--plot", type=output_file, metavar="FILE", help="draw the sweep's step time and memory as FILE.svg or FILE.png"
    )
    add_imports(parser)
    parser.add_argument("-o", "--output", type=output_file, metavar="FILE.md", help="also write the table to this file")
    return parser
