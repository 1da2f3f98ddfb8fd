"""What ``codeclab speed`` is to time, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from codeclab.codecs.io.box import BOX
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
        metrics: names of the metrics to time; None is all that are installed.
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


def speed_table(request: SpeedRequest) -> SpeedTable:
    """Time what is requested, in as many threads as torch has now.

    Raises:
        ValueError: a recipe, flag, codec or metric does not exist or cannot work.
    """
    scale = ["--scale", request.scale] if request.scale else []
    flags = [*request.flags, *scale, *(word for file in request.imports for word in ("--import", file))]
    if request.sweep:
        plot = Path(request.plot) if request.plot else None
        return sweep_speed(request.sweep, request.values, flags, request.repeats, request.threads, plot)
    if request.what == "train":
        return training_speed(flags, request.repeats)
    import_files(request.imports)
    if request.what == "data":
        return reading_speed(flags, request.repeats)
    if request.what == "inference":
        codec = codec_from_recipe(request.recipe, request.scale) if request.recipe else load_codec(request.codec)
        return coding_speed(codec, request.bitrate, request.length, request.repeats)
    return measuring_speed(request.metrics, request.repeats)
