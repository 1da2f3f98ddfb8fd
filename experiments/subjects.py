"""What can be heard: the codecs and baselines behind runs, tables and names, at their bitrates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.baselines import Baseline, make_baseline
from codeclab.benchmarks.clip import Clip
from codeclab.benchmarks.evaluate import evaluating
from codeclab.benchmarks.judge import match_channels
from codeclab.codecs.codec import Codec
from codeclab.codecs.resample import resample, same_length
from codeclab.experiments.report_sources import Source


@dataclass(frozen=True)
class Subject:
    """Something that codes clips.

    Attributes:
        name: as printed.
        rates: by true kbps, the number of codebooks; of a baseline the kbps asked for.
        codec: what ``Codec.from_pretrained`` reads; None for a baseline.
        baseline: what ``make_baseline`` takes; None for a codec.
        source: the run, or the figures, it was found by; None where it was only named.
    """

    name: str
    rates: Mapping[float, float]
    codec: Path | str | None = None
    baseline: Mapping[str, Any] | None = None
    source: Source | None = None

    def decoded(self, clips: Sequence[Clip], device: torch.device) -> Iterator[tuple[int, float, Tensor]]:
        """Place of the clip, true kbps and audio ``[C, N]`` at the clip's rate, of every clip at every bitrate.

        Args:
            clips: what is coded.
            device: where a codec runs.
        """
        if self.codec is None:
            baseline = make_baseline(self.baseline or {})
            for place, clip in enumerate(clips):
                for kbps, asked in self.rates.items():
                    yield place, kbps, _transcoded(baseline, clip, asked)
            return
        codec = Codec.from_pretrained(self.codec)
        with evaluating(codec, device) as home:
            for place, clip in enumerate(clips):
                reference, given = match_channels(clip.audio, codec.channels, clip.name)
                given = resample(given, clip.sample_rate, codec.sample_rate)[None].to(home)
                for kbps, count in self.rates.items():
                    audio = codec.decode(codec.encode(given, n_codebooks=int(count)))[0].float().cpu()
                    if reference.shape[0] < codec.channels:
                        audio = audio.mean(dim=0, keepdim=True)
                    audio = resample(audio, codec.sample_rate, clip.sample_rate)
                    yield place, kbps, same_length(audio, clip.audio.shape[-1])


def subject_of(source: Source) -> Subject:
    """What stands behind a row, at the bitrates it was measured at.

    Raises:
        ValueError: it cannot be heard here; the message says why.
    """
    info = source.evaluation.info
    codec = next((p for p in (source.folder.codec, source.folder.path) if (p / "config.json").is_file()), None)
    if codec is not None:
        per_file = source.evaluation.per_file
        rates = zip(per_file["bitrate_kbps"], per_file["n_codebooks"], strict=True)
        return Subject(source.row, {float(kbps): int(n) for kbps, n in sorted(set(rates))}, codec, source=source)
    spec = info.get("baseline")
    missing = make_baseline(spec).available() if spec else "its codec does not lie beside its figures"
    if missing:
        raise ValueError(f"{source.row} cannot be heard: {missing}.")
    spent = dict(zip(info["bitrates_kbps"], info["asked_kbps"], strict=True))
    return Subject(source.row, spent, baseline=spec, source=source)


def _transcoded(baseline: Baseline, clip: Clip, asked: float) -> Tensor:
    reference, given = match_channels(clip.audio, baseline.channels or clip.audio.shape[0], clip.name)
    audio, _ = baseline.transcode(given, clip.sample_rate, asked)
    return audio.mean(dim=0, keepdim=True) if reference.shape[0] < audio.shape[0] else audio
