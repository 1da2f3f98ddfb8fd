"""The settings of a listening test."""

from collections.abc import Sequence
from dataclasses import dataclass

from codeclab.benchmarks.listening.anchors import LOW, MID
from codeclab.experiments.config.files import RecipeError


@dataclass(frozen=True)
class ListeningRequest:
    """The settings of a listening test.

    Attributes:
        runs: paths of runs, a table's folder, or names that ``Codec.from_pretrained`` takes.
        baselines: baselines, each a name and ``ARGUMENT=VALUE`` words.
        data: folder of audio; None is the one that was measured on.
        clips: number of clips of each domain.
        seconds: duration of a clip, 1 to 30 seconds.
        split: part of the data; None is test, or all where nothing was trained on it.
        bitrates: bitrates, kbps; None is all.
        mid_anchor: whether there is an anchor of 7 kHz.
        low_anchor: whether there is an anchor of 3.5 kHz.
        lowest: lowest rating, 0 or 1.
        clips_per_listener: number of clips that each listener rates; None is all.
        lufs: loudness of all stimuli, -60 to 0 LUFS.
        listen: shortest time for which each stimulus must be heard, seconds.
        seed: seed of the clips and the ids.
        title: title of the test.
        device: device of codecs, ``cpu`` or ``cuda``; None is ``cuda`` where there is one.
    """

    runs: Sequence[str]
    baselines: Sequence[Sequence[str]] = ()
    data: str | None = None
    clips: int = 4
    seconds: float = 5.0
    split: str | None = None
    bitrates: Sequence[float] | None = None
    mid_anchor: bool = False
    low_anchor: bool = True
    lowest: int = 0
    clips_per_listener: int | None = None
    lufs: float = -23.0
    listen: float = 1.0
    seed: int = 0
    title: str = "Listening test"
    device: str | None = None

    @property
    def cutoffs(self) -> list[int]:
        """Cutoffs of the anchors, Hz."""
        wanted = {LOW: self.low_anchor, MID: self.mid_anchor}
        return [cutoff for cutoff, is_wanted in wanted.items() if is_wanted]

    def check(self) -> None:
        """Refuse settings that make no test.

        Raises:
            RecipeError: a number is out of range; the message says what it should be.
        """
        if self.clips < 1 or (self.clips_per_listener is not None and self.clips_per_listener < 1):
            raise RecipeError("--clips and --clips-per-listener should be 1 or more")
        if not 1 <= self.seconds <= 30:
            raise RecipeError(
                f"--seconds should be from 1 to 30, not {self.seconds:g}: listeners compare short excerpts"
            )
        if not 0 < self.listen <= self.seconds:
            raise RecipeError(f"--listen should be above 0 and at most --seconds, not {self.listen:g}")
        if not -60 <= self.lufs <= 0:
            raise RecipeError(f"--lufs should be from -60 to 0, not {self.lufs:g}")
