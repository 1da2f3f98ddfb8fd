"""The half of the LightningModule that measures, in validation and in test."""

from collections.abc import Sequence
from typing import Any

import lightning
import torch

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.codec import Codec
from codeclab.experiments.data.module import AudioData

MOST_RATES = 5
"""How many of a codec's bitrates are measured and played while it trains."""


def spread_rates(offered: Sequence[float]) -> list[float]:
    """The lowest and the highest of the bitrates offered, kbps, and at most three between, evenly spread."""
    count = min(len(offered), MOST_RATES)
    places = [round(index * (len(offered) - 1) / max(count - 1, 1)) for index in range(count)]
    return [offered[place] for place in places]


class Validation(lightning.LightningModule):
    """Measures ``deployed_codec`` on fixed clips; the trainer's module inherits this."""

    main_codebooks: int
    quantizer_start: int
    validation_metrics: list[str]

    @property
    def deployed_codec(self) -> Codec:
        """The codec that is measured."""
        raise AttributeError("the class that inherits Validation has the codec")

    @property
    def monitored(self) -> str:
        """The metric by which checkpoints are compared: ViSQOL where it is run, else mel distance, else the first."""
        wanted = [name for name in ("visqol_audio", "visqol_speech", "mel_distance") if name in self.validation_metrics]
        return (wanted or self.validation_metrics)[0]

    def _rates(self) -> dict[str, int | None]:
        """The numbers of codebooks measured, by the suffix of their figures; while training, more than two.

        Before the quantizer has joined it is None: the codec is measured without it, and is no candidate for the best.
        """
        codec = self.deployed_codec
        if self.trainer.state.fn == "fit" and self.global_step <= self.quantizer_start > 0:
            return {"@unquantized": None}
        rates: dict[str, int | None] = {"": self.main_codebooks}
        lowest = codec.n_codebooks_for(codec.bitrates[0])
        if lowest < self.main_codebooks:
            rates["@lowest"] = lowest
        if self.trainer.state.fn == "fit":
            others = {rate: codec.n_codebooks_for(rate) for rate in spread_rates(codec.bitrates)}
            rates |= {f"@{rate:.3g}kbps": n for rate, n in others.items() if n not in (self.main_codebooks, lowest)}
        return rates

    def _measure(self, batch: dict[str, Any], stage: str) -> None:
        codec, audio = self.deployed_codec, batch["audio"]
        lengths = batch["length"].tolist()
        for suffix, n_codebooks in self._rates().items():
            with torch.autocast(device_type=audio.device.type, enabled=False):
                if n_codebooks is None:
                    decoded = codec(audio, quantize=False)[0]
                else:
                    decoded = codec.decode(codec.encode(audio, n_codebooks=n_codebooks))
            for name in self.validation_metrics:
                if suffix.endswith("kbps") and name.startswith("visqol"):
                    continue  # seconds a clip: at the main bitrate and the lowest alone
                metric = METRICS[name].load()
                scores = [
                    metric(original[:, :length].cpu(), coded[:, :length].cpu(), codec.sample_rate)
                    for original, coded, length in zip(audio, decoded, lengths, strict=True)
                ]
                self._log_scores(f"{stage}/{name}{suffix}", scores, batch["domain"], name == self.monitored)

    def _log_scores(self, name: str, scores: list[float], domains: list[str], monitored: bool) -> None:
        """Log the mean of a batch's scores that are numbers and, while training, the mean of each domain's."""
        finite = [(score, domain) for score, domain in zip(scores, domains, strict=True) if score == score]
        groups = {name: [score for score, _ in finite]}
        if self.trainer.state.fn == "fit":
            for score, domain in finite:
                groups.setdefault(f"{name}/{domain}", []).append(score)
        for key, values in groups.items():
            if values:
                shown = monitored and key == name and "@" not in name
                mean = sum(values) / len(values)
                self.log(key, mean, batch_size=len(values), sync_dist=True, prog_bar=shown)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure one batch of validation clips."""
        # Named "step", it tells Lightning the row to log under, which would else be one batch behind.
        self.log("step", float(self.global_step), batch_size=1, sync_dist=True)
        self._measure(batch, "valid")

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure one batch of test clips."""
        self._measure(batch, "test")

    def measure_rate(self, split: str) -> float | None:
        """The kbps that a learnt-rate codec's codes of a split's clips cost, which it offers from then on.

        None where the rate is not learnt, or there are no such clips.
        """
        codec, data = self.deployed_codec, getattr(self.trainer, "datamodule", None)
        if not codec.quantizer.learns_rate or not isinstance(data, AudioData) or not getattr(data.corpus, split):
            return None
        with torch.autocast(device_type=self.device.type, enabled=False):
            return codec.measure_rate(clip.audio[None].to(self.device) for clip in data.clips(split))

    def on_validation_epoch_end(self) -> None:
        """Measure a learnt rate."""
        self._log_rate("valid")

    def on_test_epoch_end(self) -> None:
        """Measure a learnt rate."""
        self._log_rate("test")

    def _log_rate(self, split: str) -> None:
        kbps = self.measure_rate(split)
        if kbps is not None:
            # Every process measures all clips.
            self.log(f"{split}/bitrate", kbps, rank_zero_only=True)
