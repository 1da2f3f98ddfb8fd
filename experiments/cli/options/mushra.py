"""The options of ``codeclab mushra``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, add_split, run_name

DEFAULT = "mushra"

PORT = 8750

SCALES = {"0-100": 0, "1-100": 1}
"""The lowest rating of each scale."""


SCREENINGS = ("encodec", "dac", "bs1534")
"""As ``benchmarks.listening.screening`` has them, which is imported where it is needed."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab mushra``."""
    parser = argparse.ArgumentParser(
        prog="codeclab mushra",
        description="A listening test by ITU-R BS.1534 (MUSHRA). `prepare` makes a folder with a page that works from "
        "disk; listeners send back the file it saves, or `serve` collects them; `analyse` says what they found, and "
        "keeps each run's figure beside it, where `codeclab table` finds it.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    _add_prepare(steps.add_parser("prepare", help="make the test", description="Make a listening test of runs."))
    serve = steps.add_parser("serve", help="hand out the page and collect ratings", description="Serve a test.")
    serve.add_argument("folder", metavar="DIR", help="what `prepare` wrote")
    serve.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port (default: {PORT}; 0: any free one)")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine alone; 0.0.0.0: the network)"
    )
    told = "Screen the listeners, and say what the others heard: means, paired tests, a plot, and the tables' figures."
    analyse = steps.add_parser("analyse", help="screen the listeners, and say what they found", description=told)
    analyse.add_argument(
        "folder", metavar="DIR", help="what `prepare` wrote, with the listeners' files in its ratings/"
    )
    analyse.add_argument(
        "--screening",
        choices=SCREENINGS,
        default="encodec",
        help="which listeners count: encodec (default): not who rates the reference below 90 in 20 %% of the cases, or "
        "the low anchor above 80 in more than half; dac: all, as its experts; bs1534: not who rates the reference "
        "below 90 in more than 15 %%",
    )
    return parser


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        type=run_name,
        metavar="RUN",
        nargs="+",
        help="a run's folder, the folder that `codeclab table` wrote, with all its rows, or what Codec.from_pretrained "
        "reads (a folder, a file, a hub id), transformers:NAME_OR_FOLDER, or FILE.py with encode and decode",
    )
    parser.add_argument("-o", "--output", metavar="DIR", default=DEFAULT, help=f"where to write (default: {DEFAULT})")
    parser.add_argument(
        "--baseline",
        dest="baselines",
        metavar="WORD",
        nargs="+",
        action="append",
        default=[],
        help="a baseline, too: its name, then ARGUMENT=VALUE … (may be repeated)",
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to listen to (default: what was measured on)")
    parser.add_argument(
        "--clips", type=int, default=4, metavar="N", help="clips of each domain (default: 4; EnCodec's paper: 50)"
    )
    add_split(parser, "which part of it (default: test; all where nothing was trained on it)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="length of a clip (default: 5)")
    parser.add_argument("--bitrates", metavar="KBPS", type=float, nargs="+", help="kbps (default: all measured)")
    parser.add_argument("--mid-anchor", action="store_true", help="a 7 kHz anchor beside that of 3.5 kHz")
    parser.add_argument(
        "--no-low-anchor", dest="low_anchor", action="store_false", help="no 3.5 kHz anchor, as DAC's tests have none"
    )
    parser.add_argument(
        "--scale", choices=list(SCALES), default="0-100", help="of the ratings (default: 0-100; EnCodec's paper: 1-100)"
    )
    parser.add_argument(
        "--clips-per-listener", type=int, metavar="N", help="each listener hears N clips, drawn for her (default: all)"
    )
    parser.add_argument(
        "--lufs",
        type=float,
        default=-23.0,
        help="loudness of every stimulus (default: -23; lower where one would clip)",
    )
    parser.add_argument(
        "--listen", type=float, default=1.0, metavar="S", help="seconds each version must have been heard (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides the clips and the ids (default: 0)")
    parser.add_argument("--title", default="Listening test", help="as the page shows it: name no system")
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    add_imports(parser)
