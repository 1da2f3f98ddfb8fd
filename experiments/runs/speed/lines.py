"""Tables of speed on this machine, as lines and notes: training, coding, reading and measuring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.speed.inference import time_inference
from codeclab.benchmarks.speed.machine import SIDE, machine_rows, machine_tasks
from codeclab.benchmarks.speed.metrics import shares, time_metrics
from codeclab.benchmarks.speed.timed import HEADER, Timed
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.timing import in_turns
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


@dataclass(frozen=True)
class SpeedTable:
    """A table of speed.

    Attributes:
        lines: lines of the table, its header first.
        notes: sentences for under the table.
    """

    lines: list[str]
    notes: list[str] = field(default_factory=list)


def training_speed(flags: Sequence[str], repeats: int) -> SpeedTable:
    """The time of a training's batch, in each precision unless the flags choose one.

    Args:
        flags: flags of ``codeclab fit``.
        repeats: number of measurements.

    Raises:
        ValueError: a recipe or flag does not exist or cannot work.
    """
    flags = list(flags)
    given = _gives_precision(flags)
    rows = [flags] if given else [[*flags, "--trainer.precision", one] for one in PRECISIONS]
    timings = {" ".join(own): measure(own, repeats, WARM_UP) for own in rows}
    lines = [TRAINING_HEADER, *(time.row(own) for own, time in timings.items())]
    if all(time.device.type == "cpu" for time in timings.values()):
        lines += ["", *_lines(machine_rows(in_turns(machine_tasks(), repeats)))]
    names = ["a batch"] if given else [f"a batch in {one}" for one in PRECISIONS]
    notes = [f"what takes most of {name}: {time.largest}" for name, time in zip(names, timings.values(), strict=True)]
    notes += _not_timed({time.joining_at for time in timings.values()})
    return SpeedTable(lines, notes)


def sweep_speed(
    name: str,
    values: Sequence[float] | None,
    flags: Sequence[str],
    repeats: int,
    threads: int | None = None,
    plot: Path | None = None,
) -> SpeedTable:
    """The time of a training's batch at each value of a setting, each in a process of its own.

    Args:
        name: name of the setting, one of ``SWEEPS``.
        values: values of the setting, above 0; None takes those of ``SWEEPS``.
        flags: flags of ``codeclab fit``.
        repeats: number of measurements.
        threads: number of threads; None is PyTorch's own.
        plot: path of a plot to write, whose suffix is one of ``FORMATS``; None draws none.

    Raises:
        ValueError: a recipe, flag or value does not exist or cannot work.
    """
    flags = [*flags] if _gives_precision(flags) else [*flags, "--trainer.precision", PRECISIONS[0]]
    points = sweep(name, sorted(set(values or SWEEPS[name])), flags, repeats, threads)
    if plot is not None:
        from codeclab.experiments.runs.speed.sweep_plot import plot_sweep

        given = dict(zip(flags, flags[1:], strict=False))
        scale = [given["--scale"]] if "--scale" in given else []
        title = f"A training step by {name}: {' '.join([given.get('--config', 'a training'), *scale])}"
        write_atomically(plot, plot_sweep(name, points, title, FORMATS[plot.suffix]))
    product, copy = median(one.product for one in points) / 1e9, median(one.copy for one in points) / 1e9
    notes = [
        " ".join(flags),
        f"a product of {SIDE:,} x {SIDE:,} in float32 reaches {product:.0f} GFLOP/s here, a copy {copy:.1f} GB/s "
        "(medians over the values)",
        "GFLOP: matrix products and convolutions; GB: what operators read and write, as if nothing stayed in a cache",
        *_not_timed({point.joining_at for point in points}),
    ]
    return SpeedTable([SWEEP_HEADER.format(name=name), *(point.row() for point in points)], notes)


def reading_speed(flags: Sequence[str], repeats: int) -> SpeedTable:
    """The time of reading a training's batches, without processes of its own, with one, and with one a core.

    Args:
        flags: flags of ``codeclab fit``.
        repeats: number of measurements.

    Raises:
        ValueError: a recipe or flag does not exist or cannot work.
    """
    return SpeedTable(_lines(time_loader(list(flags), sorted({0, 1, usable_cores()}), repeats)))


def coding_speed(codec: Codec, bitrate: float | None, seconds: float, repeats: int) -> SpeedTable:
    """The time of encoding and decoding.

    Args:
        codec: codec to time.
        bitrate: bitrate, kbps; None is the codec's highest.
        seconds: duration of the audio, seconds.
        repeats: number of measurements.

    Raises:
        ValueError: the codec does not offer the bitrate.
    """
    timings, notes = time_inference(codec.eval(), bitrate, seconds, repeats)
    return SpeedTable(_lines(timings), notes)


def measuring_speed(metrics: Sequence[str] | None, repeats: int) -> SpeedTable:
    """The time of metrics of one clip.

    Args:
        metrics: names of metrics; None is all of one file whose packages are installed.
        repeats: number of measurements.

    Raises:
        ValueError: a metric does not exist, or its package is missing.
    """
    here = [name for name, metric in METRICS.items() if metric.per_file and not metric.lacks()]
    clip = AudioData("recordings", sample_rate=16000, clip_seconds=CLIP_SECONDS).clips("test")[0]
    names = list(metrics or here)
    timings = time_metrics(names, clip.audio, clip.sample_rate, repeats)
    return SpeedTable(_lines(timings), [shares(timings, names)])


def _gives_precision(flags: Sequence[str]) -> bool:
    return "--trainer.precision" in " ".join(flags)


def _not_timed(joining_at: set[int | None]) -> list[str]:
    """A sentence where discriminators join after the batches that were timed."""
    return [
        f"discriminators join at batch {start:,}: they have no part in this; --model.adversarial_start 0 has them in it"
        for start in joining_at - {None}
    ]


def _lines(timings: list[Timed]) -> list[str]:
    return [HEADER, *(timed.row() for timed in timings)]
