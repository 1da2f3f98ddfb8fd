"""``codeclab speed``: how fast training, coding, reading and measuring are on this machine."""

import argparse
import sys
from datetime import date
from pathlib import Path
from statistics import median

import torch

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.speed.inference import time_inference
from codeclab.benchmarks.speed.machine import SIDE, describe_machine, machine_rows, machine_tasks
from codeclab.benchmarks.speed.metrics import shares, time_metrics
from codeclab.benchmarks.speed.timed import HEADER, Timed
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.timing import in_threads, in_turns
from codeclab.experiments.cli.code_files import load_codec
from codeclab.experiments.cli.options.speed import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file
from codeclab.experiments.config.recipes import codec_from_recipe
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.speed.loader_speed import time_loader
from codeclab.experiments.runs.speed.step_time import HEADER as TRAINING_HEADER
from codeclab.experiments.runs.speed.step_time import measure
from codeclab.experiments.runs.speed.sweep import HEADER as SWEEP_HEADER
from codeclab.experiments.runs.speed.sweep import sweep
from codeclab.experiments.runs.speed.sweep_names import FORMATS, SWEEPS

PRECISIONS = ("32-true", "bf16-mixed")
WARM_UP = 3
"""Batches that are trained before those that count."""

CLIP_SECONDS = 10.0


def measured(options: argparse.Namespace, flags: list[str]) -> tuple[list[str], list[str]]:
    """The lines of the table, its header first, and sentences for under it.

    Raises:
        ValueError: an option, recipe, codec or metric that cannot be.
    """
    if options.what in ("train", "data"):
        scale = ["--scale", options.scale] if options.scale else []
        flags = [*flags, *scale, *(word for file in options.imports for word in ("--import", file))]
    elif flags:
        raise RecipeError(f"speed {options.what} takes no {flags[0]}; see codeclab speed --help")
    if options.sweep:
        return _sweep(options, flags)
    if options.what == "train":
        return _training(flags, options.repeats)
    for file in options.imports:
        import_file(file)
    notes: list[str] = []
    if options.what == "data":
        timings = time_loader(flags, sorted({0, 1, usable_cores()}), options.repeats)
    elif options.what == "inference":
        codec = codec_from_recipe(options.recipe, options.scale) if options.recipe else load_codec(options.codec)
        timings, notes = time_inference(codec.eval(), options.bitrate, options.length, options.repeats)
    else:
        here = [name for name, metric in METRICS.items() if metric.per_file and not metric.lacks()]
        clip = AudioData("recordings", sample_rate=16000, clip_seconds=CLIP_SECONDS).clips("test")[0]
        names = options.metrics or here
        timings = time_metrics(names, clip.audio, clip.sample_rate, options.repeats)
        notes = [shares(timings, names)]
    return _rows(timings), notes


def _training(flags: list[str], repeats: int) -> tuple[list[str], list[str]]:
    given = "--trainer.precision" in " ".join(flags)
    rows = [flags] if given else [[*flags, "--trainer.precision", one] for one in PRECISIONS]
    timings = {" ".join(own): measure(own, repeats, WARM_UP) for own in rows}
    lines = [TRAINING_HEADER, *(time.row(own) for own, time in timings.items())]
    if all(time.device.type == "cpu" for time in timings.values()):
        lines += ["", *_rows(machine_rows(in_turns(machine_tasks(), repeats)))]
    names = ["a batch"] if given else [f"a batch in {one}" for one in PRECISIONS]
    notes = [f"what takes most of {name}: {time.largest}" for name, time in zip(names, timings.values(), strict=True)]
    notes += _not_timed({time.joining_at for time in timings.values()})
    return lines, notes


def _not_timed(joining_at: set[int | None]) -> list[str]:
    """A sentence where discriminators join after the batches that were timed."""
    return [
        f"discriminators join at batch {start:,}: they have no part in this; --model.adversarial_start 0 has them in it"
        for start in joining_at - {None}
    ]


def _sweep(options: argparse.Namespace, flags: list[str]) -> tuple[list[str], list[str]]:
    """One line for each value, and the plot that is asked for."""
    given = "--trainer.precision" in " ".join(flags)
    flags = flags if given else [*flags, "--trainer.precision", PRECISIONS[0]]
    name = options.sweep
    points = sweep(name, sorted(set(options.values or SWEEPS[name])), flags, options.repeats, options.threads)
    if options.plot:
        from codeclab.experiments.runs.speed.sweep_plot import plot_sweep

        title = f"A training step by {name}: {' '.join([_named(flags), *[options.scale] * bool(options.scale)])}"
        write_atomically(Path(options.plot), plot_sweep(name, points, title, FORMATS[Path(options.plot).suffix]))
    product, copy = median(one.product for one in points) / 1e9, median(one.copy for one in points) / 1e9
    notes = [
        " ".join(flags),
        f"a product of {SIDE:,} x {SIDE:,} in float32 reaches {product:.0f} GFLOP/s here, a copy {copy:.1f} GB/s "
        "(medians over the values)",
        "GFLOP: matrix products and convolutions; GB: what operators read and write, as if nothing stayed in a cache",
        *_not_timed({point.joining_at for point in points}),
    ]
    return [SWEEP_HEADER.format(name=name), *(point.row() for point in points)], notes


def _named(flags: list[str]) -> str:
    """The recipe's name among the flags."""
    return dict(zip(flags, flags[1:], strict=False)).get("--config", "a training")


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


def _rows(timings: list[Timed]) -> list[str]:
    return [HEADER, *(line.row() for line in timings)]


def run(command: str, argv: list[str]) -> int:
    """``codeclab speed``; returns the exit status."""
    options, flags = make_parser().parse_known_args(argv)
    usual = torch.get_num_threads() if options.what == "train" else 1
    try:
        _check(options)
        with in_threads(options.threads or usual):
            title = f"{date.today().isoformat()}, {describe_machine()}"
            lines, notes = measured(options, flags)
    except (ValueError, OSError) as error:
        print(f"codeclab speed: {error}", file=sys.stderr)
        return 2
    text = "\n".join([f"{title}:", "", *lines, *(f"\n* {note}" for note in notes)]) + "\n"
    print(text, end="")
    if options.output:
        write_atomically(Path(options.output), text)
        print(f"written to {options.output}", file=sys.stderr)
    if options.plot:
        print(f"drawn in {options.plot}", file=sys.stderr)
    return 0
