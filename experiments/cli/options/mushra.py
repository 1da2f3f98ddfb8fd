"""The options of ``codeclab mushra``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, add_split, output_folder, run_name

SCALES = {"0-100": 0, "1-100": 1}
"""The lowest rating of each scale."""


SCREENINGS = ("encodec", "dac", "bs1534")
"""The names in ``benchmarks.listening.screening``, which is imported only where it is needed."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab mushra``."""
    parser = argparse.ArgumentParser(
        prog="codeclab mushra",
        description="Run a listening test by ITU-R BS.1534 (MUSHRA). `prepare` makes a folder with a page that works "
        "from disk. Listeners send back the file that the page saves, or `serve` collects the files. `analyse` prints "
        "the results, and stores each run's figure with the run, where `codeclab table` reads it.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    _add_prepare(steps.add_parser("prepare", help="make the test", description="Make a listening test of runs."))
    serve = steps.add_parser("serve", help="serve the page and collect ratings", description="Serve a test.")
    serve.add_argument("folder", metavar="DIR", help="folder written by `prepare`")
    serve.add_argument("--port", type=int, default=8750, metavar="N", help="port (default: 8750; 0: any free port)")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only; 0.0.0.0: the network)"
    )
    description = "Screen the listeners, and compute means, paired tests, a plot, and the figures for tables."
    analyse = steps.add_parser("analyse", help="screen the listeners and print the results", description=description)
    analyse.add_argument(
        "folder", metavar="DIR", help="folder written by `prepare`, with the listeners' files in its ratings/"
    )
    analyse.add_argument(
        "--screening",
        choices=SCREENINGS,
        default="encodec",
        help="rule for removing listeners. encodec (default): those who rate the reference below 90 in 20 %% of the "
        "cases, or the low anchor above 80 in more than half. bs1534: those who rate the reference below 90 in more "
        "than 15 %%. dac: none",
    )
    return parser


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        type=run_name,
        metavar="RUN",
        nargs="+",
        help="a run's folder, a folder written by `codeclab table` (all its rows), what Codec.from_pretrained reads (a "
        "folder, a file, a hub id), transformers:NAME_OR_FOLDER, or FILE.py with encode and decode",
    )
    parser.add_argument(
        "-o", "--output", type=output_folder, metavar="DIR", default="mushra", help="where to write (default: mushra)"
    )
    parser.add_argument(
        "--baseline",
        dest="baselines",
        metavar="WORD",
        nargs="+",
        action="append",
        default=[],
        help="add a baseline: its name, then ARGUMENT=VALUE … (may be repeated)",
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to listen to (default: what the runs were measured on)")
    parser.add_argument(
        "--clips", type=int, default=4, metavar="N", help="clips per domain (default: 4; EnCodec's paper: 50)"
    )
    add_split(parser, "split (default: test; all of audio without a given test split that nothing was trained on)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="length of a clip (default: 5)")
    parser.add_argument(
        "--bitrates", metavar="KBPS", type=float, nargs="+", help="kbps (default: all that were measured)"
    )
    parser.add_argument("--mid-anchor", action="store_true", help="add a 7 kHz anchor beside the one of 3.5 kHz")
    parser.add_argument(
        "--no-low-anchor",
        dest="low_anchor",
        action="store_false",
        help="leave out the 3.5 kHz anchor, as DAC's tests do",
    )
    parser.add_argument(
        "--scale",
        choices=list(SCALES),
        default="0-100",
        help="range of the ratings (default: 0-100; EnCodec's paper: 1-100)",
    )
    parser.add_argument(
        "--clips-per-listener",
        type=int,
        metavar="N",
        help="each listener hears N clips, drawn at random (default: all)",
    )
    parser.add_argument(
        "--lufs", type=float, default=-23.0, help="loudness of every stimulus (default: -23; lower if one would clip)"
    )
    parser.add_argument(
        "--listen",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds for which each version must be heard (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the clips and the ids (default: 0)")
    parser.add_argument("--title", default="Listening test", help="the page's title; it should not name a system")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if available)")
    add_imports(parser)
