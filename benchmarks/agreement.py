"""How many of a paper's orderings between rows were found again."""

import math
from dataclasses import dataclass
from itertools import combinations

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.table import Table, published_line


@dataclass(frozen=True)
class Agreement:
    """Of the pairs of rows that a paper orders by a metric, how many stand in the same order here.

    Args:
        metric: Name of the metric.
        found: Pairs in the paper's order. A tie here is not.
        pairs: Pairs whose published figures differ and which were both measured.
    """

    metric: str
    found: int
    pairs: int

    @property
    def chance(self) -> float:
        """How many a random order of the rows would find on average."""
        return self.pairs / 2

    @property
    def text(self) -> str:
        """The finding in one sentence, with the chance level."""
        title = METRICS[self.metric].title
        return f"{title}: found {self.found} of {self.pairs} of the paper's orderings (chance: {self.chance:g})"


def agreement(table: Table) -> list[Agreement]:
    """Counts, per metric, the paper's orderings found again; metrics without such a pair are left out.

    A row takes part with its figures at the bitrate of its published ones. The order does not depend on whether higher
    is better: only on whether the paper's larger figure is the larger one here.

    Args:
        table: Rows measured, with published figures beside them.
    """
    results = []
    for name in table.metrics:
        both = [pair for row in table.rows if (pair := _figures(table, row.name, name)) is not None]
        ordered = [(a, b) for a, b in combinations(both, 2) if a[1] != b[1]]
        found = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in ordered)
        if ordered:
            results.append(Agreement(name, found, len(ordered)))
    return results


def _figures(table: Table, row_name: str, metric: str) -> tuple[float, float] | None:
    """Ours and the paper's, where both are numbers."""
    (row,) = (row for row in table.rows if row.name == row_name)
    line = published_line(row, table.metrics)
    if line is None or metric not in line.scores:
        return None
    ours, theirs = line.scores[metric].mean, line.published.get(metric)
    if math.isnan(ours) or theirs is None or isinstance(theirs, str):
        return None
    return ours, float(theirs)
