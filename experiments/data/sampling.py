"""Policies by which the items of a training batch are drawn from the recordings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.data.recording import Recording

Draw = Callable[[np.random.Generator], list[int]]
"""Chooses an item's recordings."""
STRATEGIES = (("music", 1), ("other", 1), ("all", 2), ("other", 3))
"""EnCodec's strategies s1 to s4: from which domains, and how many sources."""


class Sampling(ABC):
    """A policy: ``prepare`` sees the training recordings once, ``draw`` chooses for one item."""

    @abstractmethod
    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Receive the recordings to choose from.

        Args:
            recordings: the training recordings; ``draw`` answers with their indices.

        Raises:
            DataError: they lack what the policy needs, such as a domain.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Choose the recordings of one item; several are mixed.

        Args:
            rng: random generator of this item alone.
            batch: number of the batch since the training began.
            item: number of the item in the global batch.
            batch_size: items in the global batch.
        """

    def plan(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> Draw:
        """Fix what an item keeps when an excerpt is rejected and drawn again; arguments as for ``draw``.

        By default that is nothing. A policy whose choices are refused more or less often (a mixture of three clips
        sooner than a single source) fixes them here, so that they keep their probabilities.
        """
        return lambda rng: self.draw(rng, batch, item, batch_size)

    def remark(self) -> str:
        """A remark on this policy and these recordings, in a line; empty if there is none."""
        return ""


class UniformByDuration(Sampling):
    """Every second of audio is equally likely."""

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Take the durations as weights."""
        self._choice = DurationChoice(recordings, range(len(recordings)))

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Draw a recording with a probability proportional to its duration."""
        return [self._choice.draw(rng)]


class UniformByFile(Sampling):
    """Every file is equally likely, however long it is."""

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Count the files."""
        self._count = len(recordings)

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Draw a recording."""
        return [int(rng.integers(self._count))]


class BalancedDomains(Sampling):
    """Improved RVQGAN's balanced sampling: equal domains, and a full-band item in every batch (section 4.2).

    Domains follow one another over the items, and on over the batches, so that they come out equal even where
    the batch size is no multiple of their number. Within a domain files are equally likely. One item of each batch is
    full-band, the first, second, … in turn, or the next one whose domain has full-band files; a batch with no such
    domain has one of another for its first item. A corpus that does not know which files are full-band is balanced
    over domains only.

    Args:
        full_band: whether every batch gets its full-band item (False is the paper's ablation, with the domains kept).
    """

    def __init__(self, full_band: bool = True) -> None:
        self.full_band = full_band

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Sort the recordings by domain and band."""
        domains = sorted({recording.domain for recording in recordings})
        self._domains = [[i for i, r in enumerate(recordings) if r.domain == domain] for domain in domains]
        self._full_band = [[i for i in files if recordings[i].full_band] for files in self._domains]
        self._everywhere = [i for i, r in enumerate(recordings) if r.full_band]
        self._unknown = all(recording.full_band is None for recording in recordings)

    def remark(self) -> str:
        """A remark if the corpus has no full-band item; else empty."""
        if not self.full_band or self._everywhere:
            return ""
        unknown = "the files' bandwidth is unknown; run `codeclab data scan FOLDER`"
        reason = unknown if self._unknown else "no file is full-band"
        return f"BalancedDomains balances domains, but batches have no full-band item: {reason}"

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Draw a recording of the item's domain."""
        turn = self._turn(batch, item, batch_size)
        files = self._domains[turn]
        if self.full_band and self._everywhere and item == self._full_band_item(batch, batch_size):
            files = self._full_band[turn] or self._everywhere
        return [files[int(rng.integers(len(files)))]]

    def _turn(self, batch: int, item: int, batch_size: int) -> int:
        return (batch * batch_size + item) % len(self._domains)

    def _full_band_item(self, batch: int, batch_size: int) -> int:
        for offset in range(min(batch_size, len(self._domains))):
            item = (batch + offset) % batch_size
            if self._full_band[self._turn(batch, item, batch_size)]:
                return item
        return 0


class OnlyDomains(UniformByDuration):
    """Recordings of some domains alone: EnCodec at 48 kHz is trained on music only (section 4.1).

    Every second of theirs is equally likely. A corpus that has none of them is used whole, and says so.

    Args:
        domains: the domains that are used.

    Raises:
        ValueError: no domains are given.
    """

    def __init__(self, domains: tuple[str, ...] = ("music", "music-like")) -> None:
        if not domains:
            raise ValueError("OnlyDomains needs at least one domain, as [music]")
        self.domains = domains

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Sort out the others."""
        own = [i for i, recording in enumerate(recordings) if recording.domain in self.domains]
        self._left_out = len(recordings) - len(own)
        self._present = sorted({recording.domain for recording in recordings})
        self._has_own = bool(own)
        self._choice = DurationChoice(recordings, own or range(len(recordings)))

    def remark(self) -> str:
        """A remark on the domains that are left out; empty if there are none."""
        wanted = ", ".join(self.domains)
        if not self._has_own:
            return f"OnlyDomains: no recording has the domain {wanted}; training uses all of {', '.join(self._present)}"
        if not self._left_out:
            return ""
        left_out, are = counted(self._left_out, "recording"), by_number(self._left_out, "is", "are")
        return f"OnlyDomains: {left_out} of other domains than {wanted} {are} left out"


class EnCodecMixing(Sampling):
    """EnCodec's mixing strategies s1 to s4 (section 4.1), whose probabilities are the argument's default.

    s1: one source of music; s2: one source of the other domains; s3: two sources of all domains; s4: three sources
    of all domains but music. Mixed are their sums, each source with its own gain; a source or a sum that clips is
    rejected, and another drawn by the same strategy. Within a group every second is equally likely.

    A corpus without music, or with nothing else, cannot be mixed so: every item is then a single source, every second
    equally likely, as with ``UniformByDuration``; unless the strategies that need what it lacks have probability 0.

    Args:
        probabilities: probabilities of s1, s2, s3 and s4.
        music: domains that are music.

    Raises:
        ValueError: the probabilities are not four, are negative, or do not sum to 1.
    """

    def __init__(
        self,
        probabilities: tuple[float, float, float, float] = (0.32, 0.32, 0.24, 0.12),
        music: tuple[str, ...] = ("music", "music-like"),
    ) -> None:
        if len(probabilities) != 4 or min(probabilities) < 0 or abs(sum(probabilities) - 1) > 1e-6:
            raise ValueError(f"probabilities are {list(probabilities)}; they should be four that sum to 1")
        self.probabilities = probabilities
        self.music = music

    def prepare(self, recordings: Sequence[Recording]) -> None:
        """Sort the recordings into music and the rest."""
        groups = {
            "music": [i for i, r in enumerate(recordings) if r.domain in self.music],
            "other": [i for i, r in enumerate(recordings) if r.domain not in self.music],
            "all": list(range(len(recordings))),
        }
        needed = {group for (group, _), chance in zip(STRATEGIES, self.probabilities, strict=True) if chance > 0}
        self._lacking = [group for group, files in groups.items() if not files and group in needed]
        self._domains = sorted({recording.domain for recording in recordings})
        self._choices = {group: DurationChoice(recordings, files) for group, files in groups.items() if files}

    def remark(self) -> str:
        """A remark if domains are missing for the mixing; else empty."""
        if not self._lacking:
            return ""
        lack = f"is music ({', '.join(self.music)})" if "music" in self._lacking else "is anything but music"
        return (
            f"EnCodecMixing: nothing is mixed, as none of the domains ({', '.join(self._domains)}) {lack}; every item "
            "is a single source, every second equally likely"
        )

    def plan(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> Draw:
        """Draw the item's strategy, which it keeps however often its excerpts are rejected."""
        strategy = int(rng.choice(4, p=self.probabilities))
        group, count = ("all", 1) if self._lacking else STRATEGIES[strategy]
        return lambda rng: [self._choices[group].draw(rng) for _ in range(count)]

    def draw(self, rng: np.random.Generator, batch: int, item: int, batch_size: int) -> list[int]:
        """Draw one, two or three recordings."""
        return self.plan(rng, batch, item, batch_size)(rng)


class DurationChoice:
    """Draws among recordings, every second equally likely, in logarithmic time.

    Args:
        recordings: recordings of every domain.
        indices: indices of those that are drawn.
    """

    def __init__(self, recordings: Sequence[Recording], indices: Sequence[int]) -> None:
        self._indices = indices
        self._ends = np.cumsum([recordings[index].seconds for index in indices])

    def draw(self, rng: np.random.Generator) -> int:
        """Draw one of the indices."""
        position = rng.random() * self._ends[-1]
        drawn = int(np.searchsorted(self._ends, position, side="right"))
        return self._indices[min(drawn, len(self._indices) - 1)]
