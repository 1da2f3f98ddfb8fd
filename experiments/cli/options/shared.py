"""Options that several commands have."""

import argparse
from pathlib import Path

from codeclab.codecs.io.box import BOX
from codeclab.codecs.io.missing import located
from codeclab.experiments.data.cores import usable_cores

MOST_WORKERS = 8
"""Processes for ViSQOL beyond which coding and the other metrics are what takes the time."""


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import``, which may be repeated."""
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="FILE.py", help="a Python file with your parts"
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers`` of commands that measure."""
    parser.add_argument(
        "--workers",
        type=int,
        default=min(usable_cores(), MOST_WORKERS),
        metavar="N",
        help=f"processes for ViSQOL (default: one per core, at most {MOST_WORKERS})",
    )


def run_name(word: str) -> str:
    """The path that a word means: a run of that name in ``runs`` if there is no such path, else the word itself."""
    return str(located(word)) if located(word) != Path(word) else word


def add_split(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--split``.

    Args:
        parser: parser of the command.
        text: help text of the flag.
    """
    parser.add_argument("--split", choices=("train", "valid", "test", "all"), help=text)


def add_max_left_out(parser: argparse.ArgumentParser) -> None:
    """Add ``--data.max_left_out``, under its name in ``codeclab fit``."""
    parser.add_argument(
        "--data.max_left_out",
        dest="max_left_out",
        type=float,
        metavar="SHARE",
        help="largest share of unusable files (default: 0.05)",
    )


def add_codec(parser: argparse.ArgumentParser) -> None:
    """Add ``--codec``, whose default is the built-in codec."""
    parser.add_argument(
        "--codec",
        default=BOX,
        type=run_name,
        metavar="CODEC",
        help="a run (runs/NAME), a codec's folder, a published checkpoint or a hub id (default: the built-in codec)",
    )
