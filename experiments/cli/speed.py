"""``codeclab speed``: how fast training, coding, reading and measuring are on this machine."""

import argparse
import sys
from datetime import date
from pathlib import Path

import torch

from codeclab.benchmarks.speed.machine import describe_machine
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.timing import in_threads
from codeclab.experiments.cli.options.speed import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.recipes import codec_from_recipe
from codeclab.experiments.runs.import_files import import_files
from codeclab.experiments.runs.load_codec import load_codec
from codeclab.experiments.runs.speed.lines import (
    SpeedTable,
    coding_speed,
    measuring_speed,
    reading_speed,
    sweep_speed,
    training_speed,
)
from codeclab.experiments.runs.speed.sweep_names import FORMATS, SWEEPS


def timed(options: argparse.Namespace, flags: list[str]) -> SpeedTable:
    """The table that the options ask for.

    Raises:
        ValueError: an option, recipe, codec or metric does not exist or cannot work.
    """
    if options.what in ("train", "data"):
        scale = ["--scale", options.scale] if options.scale else []
        flags = [*flags, *scale, *(word for file in options.imports for word in ("--import", file))]
    elif flags:
        raise RecipeError(f"speed {options.what} takes no {flags[0]}; see codeclab speed --help")
    if options.sweep:
        plot = Path(options.plot) if options.plot else None
        return sweep_speed(options.sweep, options.values, flags, options.repeats, options.threads, plot)
    if options.what == "train":
        return training_speed(flags, options.repeats)
    import_files(options.imports)
    if options.what == "data":
        return reading_speed(flags, options.repeats)
    if options.what == "inference":
        codec = codec_from_recipe(options.recipe, options.scale) if options.recipe else load_codec(options.codec)
        return coding_speed(codec, options.bitrate, options.length, options.repeats)
    return measuring_speed(options.metrics, options.repeats)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not fit together.

    Raises:
        RecipeError: the message says which.
    """
    if min(options.repeats, options.threads or 1) < 1 or options.length <= 0:
        raise RecipeError("--repeats and --threads should be 1 or more, and --length above 0")
    if options.sweep and options.what != "train":
        raise RecipeError(f"--sweep is for speed train, not for speed {options.what}")
    if (options.values or options.plot) and not options.sweep:
        raise RecipeError(f"--values and --plot need --sweep ({', '.join(SWEEPS)})")
    if options.values and min(options.values) <= 0:
        raise RecipeError("--values should be above 0")
    if options.plot and Path(options.plot).suffix not in FORMATS:
        raise RecipeError(f"--plot {options.plot}: the name should end in {' or '.join(FORMATS)}")


def run(command: str, argv: list[str]) -> int:
    """``codeclab speed``; returns the exit status."""
    options, flags = make_parser().parse_known_args(argv)
    usual = torch.get_num_threads() if options.what == "train" else 1
    try:
        _check(options)
        with in_threads(options.threads or usual):
            title = f"{date.today().isoformat()}, {describe_machine()}"
            table = timed(options, flags)
    except (ValueError, OSError) as error:
        print(f"codeclab speed: {error}", file=sys.stderr)
        return 2
    text = "\n".join([f"{title}:", "", *table.lines, *(f"\n* {note}" for note in table.notes)]) + "\n"
    print(text, end="")
    if options.output:
        write_atomically(Path(options.output), text)
        print(f"written to {options.output}", file=sys.stderr)
    if options.plot:
        print(f"drawn in {options.plot}", file=sys.stderr)
    return 0
