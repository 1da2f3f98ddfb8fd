"""Options that several commands have."""

import argparse
from pathlib import Path

from codeclab.codecs.io.box import BOX
from codeclab.codecs.io.missing import located


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import``, which may be repeated."""
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="FILE.py", help="your parts")


def run_name(word: str) -> str:
    """What a word that names a run or codec means: the run of that name in ``runs``, where nothing else is there."""
    return str(located(word)) if located(word) != Path(word) else word


def add_split(parser: argparse.ArgumentParser, told: str) -> None:
    """Add ``--split``.

    Args:
        parser: of the command.
        told: what its help says of it.
    """
    parser.add_argument("--split", choices=("train", "valid", "test", "all"), help=told)


def add_max_left_out(parser: argparse.ArgumentParser) -> None:
    """Add ``--data.max_left_out``, by the name that it has where a codec is trained."""
    parser.add_argument(
        "--data.max_left_out",
        dest="max_left_out",
        type=float,
        metavar="SHARE",
        help="of files that may be of no use (default: 0.05)",
    )


def add_codec(parser: argparse.ArgumentParser) -> None:
    """Add ``--codec``, by default the one in the box."""
    parser.add_argument(
        "--codec",
        default=BOX,
        type=run_name,
        metavar="CODEC",
        help="a run (runs/NAME), a codec's folder, a published checkpoint or a hub id (default: the codec in the box)",
    )
