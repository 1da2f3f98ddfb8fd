"""The test clips of a report, decoded by every codec."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from codeclab.benchmarks.baselines import Baseline, make_baseline
from codeclab.benchmarks.clip import Clip
from codeclab.benchmarks.evaluate import evaluating
from codeclab.benchmarks.judge import match_channels
from codeclab.benchmarks.report.parts import PlayedClip, Stimulus
from codeclab.benchmarks.report.sound import KBPS, decibels, opus, spectrogram
from codeclab.benchmarks.resample import resample, same_length
from codeclab.codecs.codec import Codec
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.evaluate_run import data_of
from codeclab.experiments.report_sources import Source

PICTURE = 22_000
"""Bytes of a spectrogram, at the most that was met."""


class ReportClips:
    """Decodes test clips for a report.

    Args:
        sources: the rows' runs.
        data: folder of audio in place of the runs' own; None keeps those.
        device: where codecs run.
    """

    def __init__(self, sources: Sequence[Source], data: str | None, device: torch.device) -> None:
        self.data = data
        self.device = device
        self.messages: list[str] = []
        self.sources = [source for source in sources if self._is_playable(source)]
        codecs = [source for source in self.sources if _is_codec(source)]
        rates = [source.stamp.get("sample_rate") or source.evaluation.info["sample_rate"] for source in codecs]
        self.clips = self._clips(codecs[0], max(rates)) if codecs else None

    def _is_playable(self, source: Source) -> bool:
        if _is_codec(source):
            return True
        spec = source.evaluation.info.get("baseline")
        missing = make_baseline(spec).available() if spec else "its codec does not lie beside its figures"
        if missing:
            self.messages.append(f"{source.row} cannot be heard: {missing}.")
        return missing is None

    def _clips(self, source: Source, sample_rate: int) -> Clips:
        folder = self.data or source.stamp.get("folder")
        return data_of(source.folder.path, folder, Codec.from_pretrained(source.folder.codec), sample_rate).clips(
            "test"
        )

    def fitting(self, limit: int | None, room: int) -> list[int]:
        """Which clips are likely to fit, domains in turn.

        Args:
            limit: how many at the most; None is all.
            room: characters there are.
        """
        if self.clips is None:
            return []
        versions = 1 + sum(len(_rates(source)) for source in self.sources)
        second = 1.15 * 125 * KBPS * self.clips.channels
        chosen: list[int] = []
        for place, recording in enumerate(self.clips.recordings):
            seconds = min(recording.seconds, self.clips.seconds)
            size = round(versions * (second * seconds + PICTURE) * 4 / 3)
            if size <= room and (limit is None or len(chosen) < limit):
                chosen.append(place)
                room -= size
        return chosen

    def played(self, places: Sequence[int]) -> list[PlayedClip]:
        """The chosen clips with all their versions."""
        if self.clips is None:
            return []
        clips = [self.clips[place] for place in places]
        loudest = [float(decibels(clip.audio, clip.sample_rate).max()) for clip in clips]
        versions = [
            [_stimulus(None, None, clip.audio, clip.sample_rate, top)] for clip, top in zip(clips, loudest, strict=True)
        ]
        for source in self.sources:
            if not self._has_these(source):
                continue
            for place, kbps, audio in _decoded(source, clips, self.device):
                rate = clips[place].sample_rate
                versions[place].append(_stimulus(source.row, kbps, audio, rate, loudest[place]))
        return [
            PlayedClip(clip.name, clip.domain, clip.seconds, clip.sample_rate, found)
            for clip, found in zip(clips, versions, strict=True)
        ]

    def _has_these(self, source: Source) -> bool:
        """Whether a run was measured on the clips that are played: others would be new to it, or learnt by heart."""
        if not _is_codec(source) or self.data is not None:
            return True
        assert self.clips is not None
        own = self._clips(source, self.clips.sample_rate)
        same = [(one.name, one.seconds) for one in own.recordings] == [
            (one.name, one.seconds) for one in self.clips.recordings
        ]
        if not same:
            self.messages.append(f"{source.row} was measured on other clips; --data FOLDER plays the same to all.")
        return same


def _is_codec(source: Source) -> bool:
    return (source.folder.codec / "config.json").is_file()


def _rates(source: Source) -> dict[float, int]:
    """Codebooks by kbps, as they were measured; of a baseline the kbps asked for, which make it again."""
    evaluation = source.evaluation
    info = evaluation.info
    if info.get("baseline"):
        return dict(zip(info["bitrates_kbps"], info["asked_kbps"], strict=True))
    rates = zip(evaluation.per_file["bitrate_kbps"], evaluation.per_file["n_codebooks"], strict=True)
    return {float(kbps): int(count) for kbps, count in sorted(set(rates))}


def _decoded(source: Source, clips: Sequence[Clip], device: torch.device) -> Iterator[tuple[int, float, Tensor]]:
    """Place of the clip, kbps and audio ``[C, N]`` at the clip's rate."""
    rates = _rates(source)
    if not _is_codec(source):
        baseline = make_baseline(source.evaluation.info["baseline"])
        for place, clip in enumerate(clips):
            for kbps, asked in rates.items():
                yield place, kbps, _transcoded(baseline, clip, asked)
        return
    codec = Codec.from_pretrained(source.folder.codec)
    with evaluating(codec, device) as home:
        for place, clip in enumerate(clips):
            reference, given = match_channels(clip.audio, codec.channels, clip.name)
            given = resample(given, clip.sample_rate, codec.sample_rate)[None].to(home)
            for kbps, count in rates.items():
                audio = codec.decode(codec.encode(given, n_codebooks=count))[0].float().cpu()
                if reference.shape[0] < codec.channels:
                    audio = audio.mean(dim=0, keepdim=True)
                audio = resample(audio, codec.sample_rate, clip.sample_rate)
                yield place, kbps, same_length(audio, clip.audio.shape[-1])


def _transcoded(baseline: Baseline, clip: Clip, asked: float) -> Tensor:
    reference, given = match_channels(clip.audio, baseline.channels or clip.audio.shape[0], clip.name)
    audio, _ = baseline.transcode(given, clip.sample_rate, asked)
    return audio.mean(dim=0, keepdim=True) if reference.shape[0] < audio.shape[0] else audio


def _stimulus(row: str | None, kbps: float | None, audio: Tensor, sample_rate: int, loudest: float) -> Stimulus:
    return Stimulus(row, kbps, opus(audio, sample_rate), spectrogram(audio, sample_rate, loudest))
