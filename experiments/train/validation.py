"""The measurements of validation and test, and the callback that logs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from codeclab.benchmarks.evaluate.scoring import Pending, Scorer
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.codec import Codec
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.train.batch import ValidationBatch
from codeclab.experiments.train.step_output import OUTPUT

if TYPE_CHECKING:
    from codeclab.experiments.train.module import CodecExperiment

MOST_RATES = 5
"""Largest number of bitrates at which a codec is measured and its samples are saved during training."""


def spread_rates(offered: Sequence[float]) -> list[float]:
    """The lowest and the highest of the bitrates offered, kbps, and at most three evenly spread in between."""
    count = min(len(offered), MOST_RATES)
    indices = [round(index * (len(offered) - 1) / max(count - 1, 1)) for index in range(count)]
    return [offered[index] for index in indices]


def most_telling(metrics: Sequence[str]) -> str:
    """The metric by which checkpoints are compared: ViSQOL if it is run, else mel distance, else the first one."""
    preferred = [name for name in ("visqol_audio", "visqol_speech", "mel_distance") if name in metrics]
    return (preferred or list(metrics))[0]


def measured_rates(codec: Codec, main_codebooks: int, fits: bool = False, joined: bool = True) -> dict[str, int | None]:
    """The numbers of codebooks at which clips are coded, by the suffix of the metrics' names.

    Args:
        codec: codec to measure.
        main_codebooks: number of codebooks at which checkpoints are compared; its metrics have no suffix.
        fits: whether the codec is in training; it is then measured at up to ``MOST_RATES`` bitrates, otherwise at two.
        joined: whether the quantizer has joined the training. Before that, the number is None: the codec is measured
            without the quantizer, and the checkpoint cannot become the best.
    """
    if not joined:
        return {"@unquantized": None}
    rates: dict[str, int | None] = {"": main_codebooks}
    lowest = codec.n_codebooks_for(codec.bitrates[0])
    if lowest < main_codebooks:
        rates["@lowest"] = lowest
    if fits:
        others = {rate: codec.n_codebooks_for(rate) for rate in spread_rates(codec.bitrates)}
        rates |= {f"@{rate:.3g}kbps": n for rate, n in others.items() if n not in (main_codebooks, lowest)}
    return rates


def decode_clips(codec: Codec, audio: Tensor, rates: dict[str, int | None]) -> dict[str, Tensor]:
    """Clips ``[B, C, N]``, encoded and decoded at each of ``measured_rates``, by its suffix; in float32."""
    decoded: dict[str, Tensor] = {}
    if not len(audio):
        return decoded
    with torch.autocast(device_type=audio.device.type, enabled=False):
        for suffix, n_codebooks in rates.items():
            if n_codebooks is None:
                decoded[suffix] = codec(audio, quantize=False)[0]
            else:
                decoded[suffix] = codec.decode(codec.encode(audio, n_codebooks=n_codebooks))
    return decoded


@dataclass(frozen=True)
class ValidationOutput:
    """A batch of clips, decoded by a codec.

    Attributes:
        clips: original clips.
        decoded: decoded clips ``[B, C, N]`` by the suffix of the metrics' names.
    """

    clips: ValidationBatch
    decoded: dict[str, Tensor]


class Validation(Callback):
    """Measures every batch of validation and test clips and logs the means, while training also by domain."""

    def __init__(self) -> None:
        super().__init__()
        self._has_validated = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take a validation's step out of the callbacks' metrics: a ``ModelCheckpoint`` names its files by it."""
        if self._has_validated:  # Lightning computes all metrics when it is asked for them
            trainer.callback_metrics.pop("step", None)
            self._has_validated = False

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Measure one batch of validation clips."""
        # The value "step" sets the step of Lightning's log entry, which would otherwise be one batch behind.
        pl_module.log("step", float(trainer.global_step), batch_size=1, sync_dist=True)
        _measure(pl_module, outputs[OUTPUT], "valid", by_domain=trainer.state.fn == "fit")

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Measure one batch of test clips."""
        _measure(pl_module, outputs[OUTPUT], "test", by_domain=False)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure a learnt rate."""
        _log_rate(pl_module, "valid")
        self._has_validated = True

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure a learnt rate."""
        _log_rate(pl_module, "test")


def _measure(module: LightningModule, output: ValidationOutput, stage: str, by_domain: bool) -> None:
    """Score decoded clips by the metrics of an experiment, and log the means."""
    experiment = cast("CodecExperiment", module)
    clips, sample_rate = output.clips, experiment.codec.sample_rate
    for suffix, decoded in output.decoded.items():
        # ViSQOL takes seconds per clip, so it runs at the main and the lowest bitrate only.
        skipped = ("visqol",) if suffix.endswith("kbps") else ()
        names = [name for name in experiment.validation_metrics if not name.startswith(skipped)]
        with Scorer([METRICS[name] for name in names], workers=0) as scorer:
            pending = [
                scorer.submit(original[:, :length].cpu(), coded[:, :length].cpu(), sample_rate)
                for original, coded, length in zip(clips.audio, decoded, clips.lengths, strict=True)
            ]
        for name in names:
            scores = [_score(one, name, clip) for clip, one in zip(clips.names, pending, strict=True)]
            in_bar = name == experiment.monitored and suffix == ""
            domains = clips.domains if by_domain else None
            _log_scores(experiment, f"{stage}/{name}{suffix}", scores, domains, in_bar)


def _score(pending: Pending, name: str, clip: str) -> float:
    """A clip's score; NaN, with a warning once, if the metric cannot score it, such as a clip that is too short."""
    score = pending.settle(name)
    if name in pending.failures:
        warn_once(__name__, f"validation: {clip} has no {name} ({pending.failures[name]})")
    return score


def _log_scores(
    module: LightningModule, name: str, scores: list[float], domains: Sequence[str] | None, in_bar: bool
) -> None:
    """Log the mean of a batch's scores other than NaN and, if domains are given, the mean for each domain."""
    groups = {name: [score for score in scores if score == score]}
    for score, domain in zip(scores, domains or [], strict=False):
        if score == score:
            groups.setdefault(f"{name}/{domain}", []).append(score)
    for key, values in groups.items():
        if values:
            mean = sum(values) / len(values)
            module.log(key, mean, batch_size=len(values), sync_dist=True, prog_bar=in_bar and key == name)


def _log_rate(module: LightningModule, split: str) -> None:
    kbps = cast("CodecExperiment", module).measure_rate(split)
    if kbps is not None:
        # Every process measures all clips.
        module.log(f"{split}/bitrate", kbps, rank_zero_only=True)
