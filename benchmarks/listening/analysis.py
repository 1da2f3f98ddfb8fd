"""Analyses ratings: means with intervals, and which systems differ."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.stats import wilcoxon

from codeclab.benchmarks.evaluate.statistics import Interval, by_domain, mean_interval
from codeclab.benchmarks.listening.design import SYSTEM, Condition

SIGNIFICANT = 0.05
MEAN_COLUMNS = ["condition", "kind", "bitrate_kbps", "domain", "mean", "ci95", "n", "listeners", "ci95_listeners"]


class Pair(NamedTuple):
    """Two systems as the same listeners rated them on the same clips.

    Args:
        first: name of one.
        second: name of the other.
        difference: mean of first minus second over the listeners' means, with its 95 % interval.
        p: p value of the two-sided Wilcoxon signed-rank test, 0 to 1.
        adjusted: p-value after Holm's correction over all pairs.
    """

    first: str
    second: str
    difference: Interval
    p: float
    adjusted: float

    @property
    def better(self) -> str | None:
        """The one that is rated higher, where that is significant."""
        if not self.adjusted < SIGNIFICANT:
            return None
        return self.first if self.difference.mean > 0 else self.second


def means(scores: DataFrame, conditions: Sequence[Condition]) -> DataFrame:
    """Mean rating of each condition over all clips and in each domain.

    ``ci95`` is half of the 95 % interval over ratings, ``t(0.975, n - 1) s / sqrt(n)``, as BS.1534 and the papers'
    tables have it: it takes ratings of one listener as independent. ``ci95_listeners`` is the same over the listeners'
    means: what other listeners would give on these clips.

    Args:
        scores: scores of the listeners that count.
        conditions: conditions of the test, in order.

    Returns:
        columns ``MEAN_COLUMNS``; NaN where an interval has fewer than two values.
    """
    rows = []
    for domain, of_domain in by_domain(scores):
        for condition in conditions:
            own = of_domain[of_domain["condition"] == condition.name]
            every = mean_interval(own["score"])
            between = mean_interval(own.groupby("listener")["score"].mean())
            about = (condition.name, condition.kind, condition.bitrate, domain)
            rows.append((*about, *every, between.n, between.half_width))
    return DataFrame(rows, columns=MEAN_COLUMNS)


def pairs(scores: DataFrame, conditions: Sequence[Condition]) -> list[Pair]:
    """Test every pair of systems on the listeners' mean differences over the clips that they rated.

    Ratings of one listener are not independent of each other: taken as if they were, equal systems would be found
    different in a third of all tests. With five listeners or fewer nothing is significant. The clips are taken as they
    are: the finding is about these.

    Args:
        scores: scores of the listeners that count.
        conditions: conditions of the test; those that are systems are compared.
    """
    names = [condition.name for condition in conditions if condition.kind == SYSTEM]
    wide = scores[scores["kind"] == SYSTEM].pivot(index=["listener", "clip"], columns="condition", values="score")
    tested = []
    for first, second in combinations([name for name in names if name in wide.columns], 2):
        by_listener = (wide[first] - wide[second]).dropna().groupby("listener").mean()
        differences = by_listener.to_numpy(dtype=np.float64)
        tested.append((first, second, mean_interval(differences), signed_rank(differences)))
    corrected = holm([p for *_, p in tested])
    return [Pair(*pair, adjusted) for pair, adjusted in zip(tested, corrected, strict=True)]


def signed_rank(differences: NDArray[np.float64]) -> float:
    """The p value of Wilcoxon's signed-rank test, two-sided; zeros are left out, as he did; 1 where nothing is left."""
    differing = differences[differences != 0]
    return float(wilcoxon(differing).pvalue) if differing.size else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the i-th smallest of m is multiplied by m - i + 1, and none falls again."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
