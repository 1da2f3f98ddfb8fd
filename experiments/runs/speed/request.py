"""What ``codeclab speed`` is to time on this machine, and the table of it: lines, and notes for under them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import torch

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.speed.inference import time_inference
from codeclab.benchmarks.speed.machine import SIDE, machine_rows, machine_tasks
from codeclab.benchmarks.speed.metrics import shares, time_metrics
from codeclab.benchmarks.speed.timed import HEADER, Timed
from codeclab.codecs.io.box import BOX
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.timing import in_turns
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.config.recipes import codec_from_recipe
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.load_codec import load_codec
from codeclab.experiments.runs.precision import PRECISIONS
from codeclab.experiments.runs.speed.loader_speed import time_loader
from codeclab.experiments.runs.speed.step_time import HEADER as TRAINING_HEADER
from codeclab.experiments.runs.speed.step_time import measure
from codeclab.experiments.runs.speed.sweep import HEADER as SWEEP_HEADER
from codeclab.experiments.runs.speed.sweep import WARM_UP, sweep
from codeclab.experiments.runs.speed.sweep_names import FORMATS, SWEEPS

CLIP_SECONDS = 10.0

LATER = {
    "quantizer_start": (
        "the quantizer joins at batch {:,}: it has no part in this; --model.quantizer_start 0 has it in it"
    ),
    "adversarial_start": (
        "discriminators join at batch {:,}: they have no part in this; --model.adversarial_start 0 has them in it"
    ),
}
"""What is said of a part of a training that joins after the batches that were timed, by its setting."""


@dataclass(frozen=True)
class SpeedRequest:
    """What to time on this machine.

    Attributes:
        what: task: a batch of training, coding (``inference``), reading (``data``), or metrics.
        codec: path, name or hub id of the codec to time.
        recipe: name of the recipe whose untrained codec is timed instead; None times ``codec``.
        scale: scale of the recipe's codec, or of the training; None is the recipe's own.
        bitrate: bitrate of coding, kbps; None is the codec's highest.
        length: duration of the audio that is coded, seconds.
        metrics: names of the metrics to time; None is all of one file whose packages are installed.
        repeats: number of measurements, 1 or more.
        threads: number of torch's threads, 1 or more; None is one, and torch's own number in training.
        sweep: size that is swept in training, one of ``SWEEPS``; None sweeps none.
        values: values of the size; None is a few doublings.
        plot: path of a picture of the sweep, as SVG or PNG; None draws none.
        imports: paths of Python files with parts of one's own.
        flags: flags of ``codeclab fit``, for ``train`` and ``data``.

    Raises:
        RecipeError: the values do not fit together; the message says which.
    """

    what: Literal["train", "inference", "data", "metrics"]
    codec: str = BOX
    recipe: str | None = None
    scale: str | None = None
    bitrate: float | None = None
    length: float = 5.0
    metrics: Sequence[str] | None = None
    repeats: int = 5
    threads: int | None = None
    sweep: str | None = None
    values: Sequence[float] | None = None
    plot: str | None = None
    imports: Sequence[str] = ()
    flags: Sequence[str] = ()

    def __post_init__(self) -> None:
        if min(self.repeats, 1 if self.threads is None else self.threads) < 1 or self.length <= 0:
            raise RecipeError("--repeats and --threads should be 1 or more, and --length above 0")
        if self.sweep and self.what != "train":
            raise RecipeError(f"--sweep is for speed train, not for speed {self.what}")
        if (self.values or self.plot) and not self.sweep:
            raise RecipeError(f"--values and --plot need --sweep ({', '.join(SWEEPS)})")
        if self.values and min(self.values) <= 0:
            raise RecipeError("--values should be above 0")
        if self.plot and Path(self.plot).suffix not in FORMATS:
            raise RecipeError(f"--plot {self.plot}: the name should end in {' or '.join(FORMATS)}")
        if self.flags and self.what not in ("train", "data"):
            raise RecipeError(f"speed {self.what} takes no {self.flags[0]}; see codeclab speed --help")

    @property
    def n_threads(self) -> int:
        """Number of torch's threads to time in."""
        return self.threads or (torch.get_num_threads() if self.what == "train" else 1)


@dataclass(frozen=True)
class SpeedTable:
    """A table of speed.

    Attributes:
        lines: lines of the table, its header first.
        notes: sentences for under the table.
    """

    lines: list[str]
    notes: list[str] = field(default_factory=list)


def speed_table(request: SpeedRequest) -> SpeedTable:
    """Time what is requested, in as many threads as torch has now.

    Raises:
        ValueError: a recipe, flag, codec or metric does not exist or cannot work.
    """
    scale = ["--scale", request.scale] if request.scale else []
    flags = [*request.flags, *scale, *(word for file in request.imports for word in ("--import", file))]
    if request.sweep:
        return _sweep_table(request.sweep, flags, request)
    if request.what == "train":
        return _training_table(flags, request.repeats)
    import_files(request.imports)
    if request.what == "data":
        return SpeedTable(_lines(time_loader(flags, sorted({0, 1, usable_cores()}), request.repeats)))
    if request.what == "inference":
        codec = codec_from_recipe(request.recipe, request.scale) if request.recipe else load_codec(request.codec)
        timings, notes = time_inference(codec.eval(), request.bitrate, request.length, request.repeats)
        return SpeedTable(_lines(timings), notes)
    names = list(request.metrics or [name for name, one in METRICS.items() if one.per_file and not one.lacks()])
    clip = AudioData("recordings", sample_rate=16000, clip_seconds=CLIP_SECONDS).clips("test")[0]
    timings = time_metrics(names, clip.audio, clip.sample_rate, request.repeats)
    return SpeedTable(_lines(timings), [shares(timings, names)])


def _training_table(flags: list[str], repeats: int) -> SpeedTable:
    """The time of a training's batch, in each precision unless the flags choose one."""
    given = _gives_precision(flags)
    rows = [flags] if given else [[*flags, "--trainer.precision", one] for one in PRECISIONS]
    timings = {" ".join(own): measure(own, repeats, WARM_UP) for own in rows}
    lines = [TRAINING_HEADER, *(time.row(own) for own, time in timings.items())]
    if all(time.device.type == "cpu" for time in timings.values()):
        lines += ["", *_lines(machine_rows(in_turns(machine_tasks(), repeats)))]
    names = ["a batch"] if given else [f"a batch in {one}" for one in PRECISIONS]
    notes = [f"what takes most of {name}: {time.largest}" for name, time in zip(names, timings.values(), strict=True)]
    notes += _not_timed(time.joining_at for time in timings.values())
    return SpeedTable(lines, notes)


def _sweep_table(name: str, flags: list[str], request: SpeedRequest) -> SpeedTable:
    """The time of a training's batch at each value of a setting, each in a process of its own."""
    flags = flags if _gives_precision(flags) else [*flags, "--trainer.precision", PRECISIONS[0]]
    points = sweep(name, sorted(set(request.values or SWEEPS[name])), flags, request.repeats, request.threads)
    if request.plot:
        from codeclab.experiments.runs.speed.sweep_plot import plot_sweep

        given = dict(zip(flags, flags[1:], strict=False))
        scale = [given["--scale"]] if "--scale" in given else []
        title = f"A training step by {name}: {' '.join([given.get('--config', 'a training'), *scale])}"
        plot = Path(request.plot)
        write_atomically(plot, plot_sweep(name, points, title, FORMATS[plot.suffix]))
    product, copy = median(one.product for one in points) / 1e9, median(one.copy for one in points) / 1e9
    notes = [
        " ".join(flags),
        f"a product of {SIDE:,} x {SIDE:,} in float32 reaches {product:.0f} GFLOP/s here, a copy {copy:.1f} GB/s "
        "(medians over the values)",
        "GFLOP: matrix products and convolutions; GB: what operators read and write, as if nothing stayed in a cache",
        *_not_timed(point.joining_at for point in points),
    ]
    return SpeedTable([SWEEP_HEADER.format(name=name), *(point.row() for point in points)], notes)


def _gives_precision(flags: Sequence[str]) -> bool:
    return "--trainer.precision" in " ".join(flags)


def _not_timed(joining: Iterable[Mapping[str, int]]) -> list[str]:
    """Sentences where the quantizer or the discriminators join after the batches that were timed."""
    starts = dict.fromkeys(start for one in joining for start in one.items())
    return [LATER[setting].format(start) for setting, start in starts]


def _lines(timings: list[Timed]) -> list[str]:
    return [HEADER, *(timed.row() for timed in timings)]
