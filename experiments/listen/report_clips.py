"""The test clips of a report, decoded by every codec."""

from collections.abc import Sequence

import torch
from torch import Tensor

from codeclab.benchmarks.report import PlayedClip, Stimulus
from codeclab.benchmarks.report.sound import KBPS, decibels, opus, spectrogram
from codeclab.codecs.codec import Codec
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.listen.choose_clips import are_same, split_of_sources
from codeclab.experiments.listen.sources import RowSource
from codeclab.experiments.listen.systems import System, systems_of

PICTURE = 22_000
"""Bytes of a spectrogram, the largest seen."""


class ReportClips:
    """Decodes test clips for a report.

    Args:
        sources: sources of the rows' runs.
        data: folder of audio in place of the runs' own; None keeps those.
        device: device that codecs run on.
        split: part of the data; None is the default, of ``split_of_sources``.
    """

    def __init__(
        self, sources: Sequence[RowSource], data: str | None, device: torch.device, split: str | None = None
    ) -> None:
        self.data = data
        self.sources = sources
        self.split = split or split_of_sources(sources, data)
        self.device = device
        self.systems, unheard = systems_of(sources)
        self.messages = [reason for _, reason in unheard]
        measured = [(system, system.source) for system in self.systems if system.codec and system.source]
        rates = [source.sample_rate for _, source in measured]
        self.clips = self._clips(measured[0][0], max(rates)) if measured else None

    def _clips(self, system: System, sample_rate: int) -> Clips:
        assert system.source is not None
        assert system.codec is not None
        codec = Codec.from_pretrained(system.codec)
        return system.source.data(codec, self.data, sample_rate, self.sources).clips(self.split)

    def fitting(self, limit: int | None, room: int) -> list[int]:
        """Indices of the clips that are likely to fit, domains in turn.

        Args:
            limit: largest number of clips; None is all.
            room: number of characters available.
        """
        if self.clips is None:
            return []
        versions = 1 + sum(len(system.rates) for system in self.systems)
        second = 1.15 * 125 * KBPS * self.clips.channels
        chosen: list[int] = []
        for index, recording in enumerate(self.clips.recordings):
            seconds = min(recording.seconds, self.clips.seconds)
            size = round(versions * (second * seconds + PICTURE) * 4 / 3)
            if size <= room and (limit is None or len(chosen) < limit):
                chosen.append(index)
                room -= size
        return chosen

    def played(self, indices: Sequence[int]) -> list[PlayedClip]:
        """The chosen clips with all their versions."""
        if self.clips is None:
            return []
        clips = [self.clips[index] for index in indices]
        loudest = [float(decibels(clip.audio, clip.sample_rate).max()) for clip in clips]
        versions = [
            [_stimulus(None, None, clip.audio, clip.sample_rate, top)] for clip, top in zip(clips, loudest, strict=True)
        ]
        for system in self.systems:
            if not self._has_these(system):
                continue
            for index, kbps, audio in system.decoded(clips, self.device):
                rate = clips[index].sample_rate
                versions[index].append(_stimulus(system.name, kbps, audio, rate, loudest[index]))
        return [
            PlayedClip(clip.name, clip.domain, clip.seconds, clip.sample_rate, stimuli)
            for clip, stimuli in zip(clips, versions, strict=True)
        ]

    def _has_these(self, system: System) -> bool:
        """Whether a run was measured on the clips that are played; it may have been trained on other clips."""
        if system.codec is None or self.data is not None:
            return True
        assert self.clips is not None
        same = are_same(self._clips(system, self.clips.sample_rate), self.clips)
        if not same:
            self.messages.append(f"{system.name} was measured on other clips; --data FOLDER plays the same to all.")
        return same


def _stimulus(row: str | None, kbps: float | None, audio: Tensor, sample_rate: int, loudest: float) -> Stimulus:
    return Stimulus(row, kbps, opus(audio, sample_rate), spectrogram(audio, sample_rate, loudest))
