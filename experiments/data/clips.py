"""The fixed clips on which validation and test measure."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from typing import TypedDict, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.experiments.data.formats import SILENCE
from codeclab.experiments.data.reader import ShorterError, as_it_is
from codeclab.experiments.data.recording import DataError, ReadExcerpt, Recording
from codeclab.experiments.data.splits import draw_position

logger = logging.getLogger(__name__)

POSITIONS = (0.5, 0.0, 0.25, 0.75, 1.0)
"""Where a clip may begin, as shares of what is not in it, in the order in which they are tried for sound."""

ORDER_SEED = 0


LeftOut = tuple[str, str]
"""A clip's name, and why the clip is left out."""

PaddedClip = tuple[str, str, Tensor, int, str] | LeftOut
"""Name, domain, audio ``[C, N]``, its samples before padding, and how it is shorter than listed; or a clip left out."""


class ValidBatch(TypedDict):
    """A batch for the validation step: ``audio`` float32 ``[b, C, N]``, padded to one length, with names and domains.

    ``left_out`` has (name, reason) of clips that could not be read, which may be all. ``shorter`` has (name, how) of
    clips whose files are shorter than listed.
    """

    audio: Tensor
    name: list[str]
    domain: list[str]
    length: Tensor
    left_out: list[tuple[str, str]]
    shorter: list[tuple[str, str]]


class Clips(Sequence[Clip]):
    """One clip per recording, read when it is requested; the same in every run.

    A clip is the middle of its recording, or all of a shorter one; where the middle is silent, the beginning, a
    quarter in, three quarters in, or the end.

    Args:
        recordings: recordings that the clips come from, in the order of the result.
        read: reader of the recordings.
        sample_rate: sampling rate in Hz.
        channels: channels of the clips.
        seconds: longest duration in seconds.

    Attributes:
        left_out: names of clips that could not be read, with the reason.
        shorter: names of clips whose files are shorter than listed, with both lengths.
    """

    def __init__(
        self, recordings: Sequence[Recording], read: ReadExcerpt, sample_rate: int, channels: int, seconds: float
    ) -> None:
        self.recordings = list(recordings)
        self.read = read
        self.sample_rate = sample_rate
        self.channels = channels
        self.seconds = seconds
        self.left_out: dict[str, str] = {}
        self.shorter: dict[str, str] = {}

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self.recordings)

    @property
    def longest(self) -> float:
        """Duration of the longest clip in seconds."""
        return max(min(self.seconds, recording.seconds) for recording in self.recordings)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> "Clips": ...

    def __getitem__(self, index: int | slice) -> "Clip | Clips":
        """Read one clip; a slice is read later."""
        return self._slice(index) if isinstance(index, slice) else self._clip(index)

    def _slice(self, part: slice) -> "Clips":
        return Clips(self.recordings[part], self.read, self.sample_rate, self.channels, self.seconds)

    def _clip(self, index: int) -> Clip:
        recording = self.recordings[index]
        try:
            audio = self._read(recording)
        except ShorterError as error:
            audio = self._read(as_it_is(recording, error))
            if error.note:
                self.shorter[recording.name] = error.note
        return Clip(recording.name, recording.domain, audio, self.sample_rate)

    def __iter__(self) -> Iterator[Clip]:
        """The clips that can be read; the others are recorded in ``left_out``, with one warning each."""
        for index in range(len(self)):
            try:
                clip = self[index]
            except (DataError, OSError) as error:
                name = self.name_of(index)
                if name not in self.left_out:
                    self.left_out[name] = str(error)
                    logger.warning("left out: %s (%s)", name, error)
            else:
                yield clip

    def name_of(self, index: int) -> str:
        """A clip's name, whether or not the clip can be read."""
        return self.recordings[index].name

    def _read(self, recording: Recording) -> Tensor:
        recording = replace(recording, exact=True)  # zeros that stand for what is missing would be measured as sound
        seconds = min(self.seconds, recording.seconds)
        room = recording.seconds - seconds
        tried: list[Tensor] = []
        for share in POSITIONS if room > 0 else POSITIONS[:1]:
            tried.append(self.read(recording, share * room, seconds, self.sample_rate, self.channels))
            if float(tried[-1].abs().max()) > SILENCE:
                return tried[-1]
        return tried[0]


class PaddedClips(Dataset[PaddedClip]):
    """Clips padded with zeros to ``length`` samples, as a loader wants them; see ``PaddedClip``."""

    def __init__(self, clips: Clips, length: int) -> None:
        self.clips = clips
        self.length = length

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self.clips)

    def __getitem__(self, index: int) -> PaddedClip:
        """Read one clip."""
        try:
            clip = self.clips[index]
        except (DataError, OSError) as error:
            return self.clips.name_of(index), str(error)
        samples = clip.audio.shape[-1]
        audio = torch.nn.functional.pad(clip.audio, (0, self.length - samples))
        return clip.name, clip.domain, audio, samples, self.clips.shorter.get(clip.name, "")


def collate_clips(items: list[PaddedClip]) -> ValidBatch:
    """Join padded clips into a batch."""
    whole = [item for item in items if len(item) == 5]
    audio = [item[2] for item in whole]
    return {
        "audio": torch.stack(audio) if audio else torch.empty(0, 0, 0),
        "name": [item[0] for item in whole],
        "domain": [item[1] for item in whole],
        "length": torch.tensor([item[3] for item in whole], dtype=torch.int64),
        "left_out": [item for item in items if len(item) == 2],
        "shorter": [(item[0], item[4]) for item in whole if item[4]],
    }


def choose_balanced(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Choose at most ``limit`` recordings (None keeps all), domains in turn, by the hash of their names.

    So adding files to a corpus changes little of the choice, and a smaller limit gives the first ones.
    """
    by_domain: dict[str, list[Recording]] = {}
    for recording in sorted(recordings, key=lambda r: draw_position(ORDER_SEED, f"order:{r.name}")):
        by_domain.setdefault(recording.domain, []).append(recording)
    members = [by_domain[domain] for domain in sorted(by_domain)]
    in_turn = (one for rank in zip_longest(*members) for one in rank if one is not None)
    return list(islice(in_turn, limit))
