"""Options that several commands have, and those of measuring as settings."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from codeclab.codecs.io.box import BOX
from codeclab.codecs.io.missing import located
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.runs.disk import why_no_file, why_no_folder
from codeclab.experiments.runs.measure.settings import MeasuringSettings

MOST_WORKERS = 8
"""Processes for ViSQOL beyond which coding and the other metrics are what takes the time."""


RUN_CODE = "--run-code"
"""Flag of every command; ``main`` takes it out of a command's words before these are parsed."""


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import``, which may be repeated, and ``--run-code``."""
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="FILE.py", help="a Python file with your parts"
    )
    add_run_code(parser)


def add_run_code(parser: argparse.ArgumentParser) -> None:
    """Add ``--run-code`` to a command's help."""
    parser.add_argument(
        RUN_CODE,
        action="store_true",
        default=argparse.SUPPRESS,
        help="run Python files of others' runs (read imports/ first)",
    )


def add_measuring(parser: argparse.ArgumentParser, seconds: str) -> None:
    """Add how many clips are measured, how and where; ``seconds`` is the help's default of ``--seconds``."""
    parser.add_argument("--clips", type=int, metavar="N", help="at most N clips, balanced over the domains")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"clips are cut to this length (default: {seconds})")
    parser.add_argument(
        "--workers",
        type=int,
        default=min(usable_cores(), MOST_WORKERS),
        metavar="N",
        help=f"processes for ViSQOL (default: one a core, at most {MOST_WORKERS})",
    )
    parser.add_argument("--device", default=None, help="cpu or cuda (default: cuda if available)")
    # Under its name in `codeclab fit`.
    parser.add_argument(
        "--data.max_left_out",
        dest="max_left_out",
        type=float,
        metavar="SHARE",
        help="largest share of unusable files (default: 0.05)",
    )
    add_imports(parser)


def output_folder(word: str) -> str:
    """The value of an option for a folder to write to; refused before the work if nothing can be written there."""
    if reason := why_no_folder(Path(word)):
        raise argparse.ArgumentTypeError(reason)
    return word


def output_file(word: str) -> str:
    """The value of an option for a file to write, refused as that of ``output_folder``."""
    if reason := why_no_file(Path(word)):
        raise argparse.ArgumentTypeError(reason)
    return word


def measuring_settings(options: argparse.Namespace, metrics: Sequence[str]) -> MeasuringSettings:
    """The settings out of a command's options, for the metrics requested; dropped ones are printed on standard error.

    Raises:
        ValueError: a metric is unknown; the message lists the known ones.
    """
    # It imports torch, which --help does without.
    from codeclab.experiments.runs.measure.evaluate import choose_metrics

    chosen, notes = choose_metrics(metrics)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    names = {field.name for field in fields(MeasuringSettings)} - {"metrics"}
    return MeasuringSettings(chosen, **{name: value for name, value in vars(options).items() if name in names})


def run_name(word: str) -> str:
    """The path that a word means: a run of that name in ``runs`` if there is no such path, else the word itself."""
    return str(located(word)) if located(word) != Path(word) else word


def add_split(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--split`` with a help text."""
    parser.add_argument("--split", choices=("train", "valid", "test", "all"), help=text)


def add_codec(parser: argparse.ArgumentParser) -> None:
    """Add ``--codec``, whose default is the built-in codec."""
    parser.add_argument(
        "--codec",
        default=BOX,
        type=run_name,
        metavar="CODEC",
        help="a run (runs/NAME), a codec's folder, a published checkpoint or a hub id (default: the built-in codec)",
    )
