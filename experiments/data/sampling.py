"""Which recordings the items of a training batch are drawn from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from codeclab.experiments.data.recording import DataError, Recording


class Sampling(ABC):
    """A policy: `prepare` sees the training recordings once, `draw` chooses for one item."""

    @abstractmethod
    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Looks at what there is to choose from.

        Args:
            recordings: The training recordings; `draw` answers with their indices.

        Raises:
            DataError: If they lack what the policy needs, such as a domain.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Chooses the recordings of one item; several are mixed.

        Args:
            rng: Of this item alone.
            batch: Number of the batch since the training began.
            item: Number of the item in the global batch.
            batch_size: Items in the global batch.
        """


class UniformByDuration(Sampling):
    """Every second of audio is equally likely."""

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Takes the durations as weights."""
        self._choice = WeightedChoice(range(len(recordings)), [r.seconds for r in recordings])

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """One recording, with a probability proportional to its duration."""
        return [self._choice.draw(rng)]


class UniformByFile(Sampling):
    """Every file is equally likely, however long it is."""

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Counts the files."""
        self._count = len(recordings)

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """One recording."""
        return [int(rng.integers(self._count))]


class BalancedDomains(Sampling):
    """Improved RVQGAN's balanced sampling: equal domains, and a full-band item in every batch (section 3.6).

    Domains follow one another over the items, and on over the batches, so that they come out equal even where
    the batch size is no multiple of their number. Within a domain files are equally likely. The first item
    of each batch is full-band, from its own domain if that has such files, else from any; a corpus that does not
    know which files are full-band is balanced over domains only.

    Args:
        full_band: Whether every batch gets its full-band item (False is the paper's ablation, with the domains kept).
    """

    def __init__(self, full_band: bool = True) -> None:
        self.full_band = full_band

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Sorts the recordings by domain and band."""
        domains = sorted({recording.domain for recording in recordings})
        self._domains = [[i for i, r in enumerate(recordings) if r.domain == domain] for domain in domains]
        everywhere = [i for i, r in enumerate(recordings) if r.full_band]
        self._full_band = [[i for i in files if recordings[i].full_band] or everywhere for files in self._domains]

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """One recording of the item's domain."""
        turn = (batch * batch_size + item) % len(self._domains)
        files = self._domains[turn]
        if self.full_band and item == 0 and self._full_band[turn]:
            files = self._full_band[turn]
        return [files[int(rng.integers(len(files)))]]


class MixedSources(Sampling):
    """EnCodec's mixing strategies s1 to s4 (section 4.1), whose probabilities are the arguments' defaults.

    s1: one source of music; s2: one source of the other domains; s3: two sources of all domains; s4: three sources
    of all domains but music. Mixed are their sums, each source with its own augmentations (its gain, for one);
    a mixture that clips is drawn anew. Within a group every second is equally likely.

    Args:
        single_music: Probability of s1.
        single_other: Probability of s2.
        two_of_all: Probability of s3; what remains to 1 is s4.
        music: Domains that are music.

    Raises:
        ValueError: If the probabilities are negative or exceed 1 together.
    """

    def __init__(
        self,
        single_music: float = 0.32,
        single_other: float = 0.32,
        two_of_all: float = 0.24,
        music: tuple[str, ...] = ("music", "music-like"),
    ) -> None:
        chances = (single_music, single_other, two_of_all)
        if min(chances) < 0 or sum(chances) > 1 + 1e-9:
            raise ValueError(f"the probabilities must be 0 or more and at most 1 together, got {chances}")
        self.chances = [*chances, max(1.0 - sum(chances), 0.0)]
        self.music = music

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Sorts the recordings into music and the rest.

        Raises:
            DataError: If a strategy with a probability above 0 has nothing to draw from.
        """
        groups = {
            "music": [i for i, r in enumerate(recordings) if r.domain in self.music],
            "other": [i for i, r in enumerate(recordings) if r.domain not in self.music],
        }
        needed = {"music": self.chances[0], "other": self.chances[1] + self.chances[3]}
        for group, files in groups.items():
            if needed[group] > 0 and not files:
                domains = sorted({recording.domain for recording in recordings})
                raise DataError(
                    f"MixedSources draws single {group} sources, and none of the domains {domains} is {group} "
                    f"(music is {sorted(self.music)}); set its probabilities or its `music`"
                )
        groups["all"] = list(range(len(recordings)))
        self._choices = {
            group: WeightedChoice(files, [recordings[i].seconds for i in files]) for group, files in groups.items()
        }

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """One, two or three recordings."""
        strategy = int(rng.choice(4, p=self.chances))
        group, count = (("music", 1), ("other", 1), ("all", 2), ("other", 3))[strategy]
        return [self._choices[group].draw(rng) for _ in range(count)]


class WeightedChoice:
    """Draws among values with given weights, in logarithmic time.

    Args:
        values: What is drawn.
        weights: How likely, not necessarily summing to one.
    """

    def __init__(self, values: Sequence[int], weights: Sequence[float]) -> None:
        self._values = list(values)
        self._ends = np.cumsum(weights)

    def draw(self, rng: np.random.Generator) -> int:
        """One of the values."""
        position = rng.random() * self._ends[-1]
        index = int(np.searchsorted(self._ends, position, side="right"))
        return self._values[min(index, len(self._values) - 1)]
