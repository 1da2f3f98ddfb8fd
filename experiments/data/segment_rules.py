"""The papers' test sets: length, number and sources of their segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codeclab.experiments.data.recording import Recording


@dataclass(frozen=True)
class Category:
    """One category of a test set.

    Args:
        name: the domain of its segments.
        datasets: datasets whose recordings it takes, by their names in ``codeclab data prepare``.
        domain: the domain it takes where the corpus has none of these datasets; one of the category's own name will do.
        added: a category that is mixed into it; None mixes nothing.
    """

    name: str
    datasets: tuple[str, ...]
    domain: str
    added: "Category | None" = None

    def chosen(self, recordings: Sequence[Recording]) -> list[Recording]:
        """Its recordings."""
        return self.of_datasets(recordings) or [r for r in recordings if r.domain in (self.domain, self.name)]

    def of_datasets(self, recordings: Sequence[Recording]) -> list[Recording]:
        """The recordings of its datasets only."""
        return [r for r in recordings if r.name.split("/")[0] in self.datasets]


@dataclass(frozen=True)
class Rule:
    """How a paper draws its test set.

    Args:
        seconds: length of a segment.
        count: segments of each category.
        categories: None takes every domain of the corpus.
        source: the section of the paper.
    """

    seconds: float
    count: int
    categories: tuple[Category, ...] | None
    source: str


_SPEECH = Category("clean speech", ("dns",), "speech")
RULES = {
    "dac": Rule(
        10.0,
        1000,
        (
            Category("speech", ("daps",), "speech"),
            Category("music", ("musdb18",), "music"),
            Category("environment", ("audioset",), "general"),
        ),
        "Improved RVQGAN, section 4.1: 3,000 segments of 10 s, 1,000 each of DAPS' speakers F10 and M10, of MUSDB's "
        "test part and of AudioSet's evaluation segments",
    ),
    "encodec": Rule(
        5.0,
        50,
        (
            _SPEECH,
            replace(_SPEECH, name="noisy speech", added=Category("noise", ("fsd50k",), "general")),
            Category("music set 1", ("jamendo",), "music"),
        ),
        "EnCodec, sections 4.1 and 4.3: 50 segments of 5 s each of clean speech of DNS, of the same mixed with FSD50K, "
        "and of Jamendo (its second set of music is not public)",
    ),
    "domains": Rule(10.0, 1000, None, "1,000 segments of 10 s of every domain there is, whatever datasets it is of"),
}
"""Rules by their names in ``codeclab data segments --rule``."""


def sized_rule(name: str, seconds: float | None = None, count: int | None = None) -> Rule:
    """A rule by its name, with other sizes where they are given.

    Args:
        name: name of the rule, one of ``RULES``.
        seconds: duration of a segment, seconds; None keeps the rule's.
        count: number of segments of each category; None keeps the rule's.
    """
    rule = RULES[name]
    return replace(
        rule, seconds=rule.seconds if seconds is None else seconds, count=rule.count if count is None else count
    )
