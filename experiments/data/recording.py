"""What a corpus is made of: recordings, their split, and how they are read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the scan's processes read headers and spectra; torch would take them seconds to import
    from torch import Tensor

SPLITS = ("train", "valid", "test")


class DataError(ValueError):
    """The user's audio has a problem; the message says which, and what would be right."""


@dataclass(frozen=True)
class Recording:
    """One piece of audio that excerpts are drawn from.

    Args:
        path: the audio file.
        domain: the kind of sound, such as "speech".
        sample_rate: sampling rate in Hz, as stored; 0 until its header is read.
        channels: number of channels, as stored.
        seconds: duration in seconds.
        full_band: whether it is known to hold energy up to the Nyquist frequency of 44.1 kHz, or its own if that is
            higher; None if it was not measured.
        split: "train", "valid" or "test"; None until one is assigned.
        name: name in results: its path below the corpus, unique there.
        band_hz: highest frequency with energy, measured by ``codeclab data scan``; None if not measured.
        rms_db: level of the whole file in dB relative to full scale, over all its channels; None if not measured.
        part_of: name of the recording that a segment was cut from; empty for a whole file.
        start: time into the file at which a segment of ``seconds`` begins, in seconds; 0 for a whole file.
        gain_db: gain in dB with which it is read.
        mixed: a recording that is added to it, from its own ``start`` on and with its own gain; None adds none.
        exact: whether missing samples may never be replaced by zeros, not even as few as decoders differ by.
        speaker: the speaker's name, unique in the corpus; empty if unknown.
        copy_of: name of the recording that its file is a copy of, found by ``codeclab data scan``; empty for none.
    """

    path: Path
    domain: str
    sample_rate: int
    channels: int
    seconds: float
    full_band: bool | None = None
    split: str | None = None
    name: str = ""
    band_hz: float | None = None
    rms_db: float | None = None
    part_of: str = ""
    start: float = 0.0
    gain_db: float = 0.0
    mixed: "Recording | None" = None
    exact: bool = False
    speaker: str = ""
    copy_of: str = ""


ReadExcerpt = Callable[[Recording, float, float, int, int], "Tensor"]
"""Reads (recording, start in seconds, seconds, sample rate in Hz, channels) as float32 ``[C, N]``."""


@dataclass(frozen=True)
class Corpus:
    """All recordings, by split, with the function that reads them.

    Args:
        name: origin of the recordings, for messages.
        read: reader of an excerpt of one of its recordings.
        train: recordings to train on.
        valid: recordings to validate on.
        test: recordings to report results on.
        skipped: files left out, each with the reason.
        folder: the folder of the files; None if they are in none.
        lost: the split of each file left out, by name, if it has one.
        gives_test: whether its folders or its manifest say which files are to test on.
    """

    name: str
    read: ReadExcerpt
    train: list[Recording] = field(default_factory=list)
    valid: list[Recording] = field(default_factory=list)
    test: list[Recording] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    folder: Path | None = None
    lost: dict[str, str] = field(default_factory=dict)
    gives_test: bool = False

    def split(self, name: str) -> list[Recording]:
        """The recordings of one split, or of all of them together for ``"all"``.

        Raises:
            DataError: there is no split of that name, or it holds nothing.
        """
        if name not in (*SPLITS, "all"):
            raise DataError(f"no split {name!r}; there are: {', '.join(SPLITS)}, all")
        recordings: list[Recording] = self.train + self.valid + self.test if name == "all" else getattr(self, name)
        if not recordings:
            raise DataError(
                f"{self.name} has nothing in its {name} split ({len(self.train)} train, {len(self.valid)} valid, "
                f"{len(self.test)} test files); add a {name!r} folder, or have three readable files"
            )
        return recordings
