"""The content of a report page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pandas import DataFrame

from codeclab.benchmarks.tables.table import Table


@dataclass(frozen=True)
class Stimulus:
    """One version of a clip: the original, or the output of a codec.

    Args:
        row: the table's row; None is the original.
        bitrate: bitrate really used, in kbps; None is the original.
        audio: content of an Ogg file of Opus.
        spectrogram: content of a PNG file.
    """

    row: str | None
    bitrate: float | None
    audio: bytes
    spectrogram: bytes

    @property
    def name(self) -> str:
        """Its name on the page."""
        return "Original" if self.row is None else f"{self.row}, {self.bitrate:.4g} kbps"

    @property
    def size(self) -> int:
        """Characters that it takes on the page, with both files in base64."""
        return sum(4 * -(-len(content) // 3) for content in (self.audio, self.spectrogram))


@dataclass(frozen=True)
class PlayedClip:
    """A clip with its versions, all at the same instants.

    Args:
        name: name of the clip in the evaluation.
        domain: the kind of sound.
        seconds: duration in seconds.
        sample_rate: sample rate of the original in Hz, whose half is the top of the spectrograms.
        stimuli: the original first.
    """

    name: str
    domain: str
    seconds: float
    sample_rate: int
    stimuli: Sequence[Stimulus]

    @property
    def size(self) -> int:
        """Characters it takes on the page."""
        return sum(stimulus.size for stimulus in self.stimuli)


@dataclass(frozen=True)
class Report:
    """Everything on a report page.

    Args:
        table: the comparison; codebooks are taken from its rows.
        notes: lines under the table.
        histories: log of each row's run, by row: a column ``step`` and one per quantity (NaN where it was not logged).
        clips: clips to listen to.
        messages: notes on clips that are missing.
    """

    table: Table
    notes: Sequence[str] = ()
    histories: Mapping[str, DataFrame] = field(default_factory=dict)
    clips: Sequence[PlayedClip] = ()
    messages: Sequence[str] = ()
