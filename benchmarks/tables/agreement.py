"""How many of a paper's orderings between rows were found again."""

import math
from dataclasses import dataclass
from itertools import combinations

from codeclab.benchmarks.evaluate.columns import form, title, unit
from codeclab.benchmarks.tables.published import published_number
from codeclab.benchmarks.tables.table import Line, Table, lines


@dataclass(frozen=True)
class Agreement:
    """Of the pairs of rows that a paper orders by a metric, how many stand in the same order here.

    Args:
        metric: Name of the metric or column.
        found: Pairs in the paper's order. A tie here is not.
        pairs: Pairs whose published figures differ by more than the margin and which were both measured.
        margin: In the metric's own unit.
    """

    metric: str
    found: int
    pairs: int
    margin: float = 0.0

    @property
    def chance(self) -> float:
        """How many a random order of the rows would find on average."""
        return self.pairs / 2

    @property
    def text(self) -> str:
        """The finding in one sentence, with the margin and the chance level."""
        percent = form(self.metric).endswith("%")
        size = f"{100 * self.margin:g} %" if percent else f"{self.margin:g} {unit(self.metric)}".rstrip()
        margin = f" by more than {size}" if self.margin else ""
        orderings = f"{self.found} of {self.pairs} of the paper's orderings{margin}"
        return f"{title(self.metric)}: found {orderings} (chance: {self.chance:g})"


def agreement(table: Table) -> list[Agreement]:
    """Counts, per metric, the paper's orderings found again; metrics without such a pair are left out.

    Every row takes part at each bitrate of its published figures, as they are rows of the paper's table; a pair counts
    where those figures differ by more than the table's margin. The order does not depend on whether higher is better:
    only on whether the paper's larger figure is the larger one here. Pairs are not independent of each other: the
    chance level is what a random order finds on average, not a threshold of significance.

    Args:
        table: Rows measured, with published figures beside them.
    """
    shown = lines(table)
    results = []
    for name in (*table.metrics, *table.own_columns):
        margin = table.margin.get(name, 0.0)
        both = [pair for line in shown if (pair := _figures(line, name)) is not None]
        ordered = [(a, b) for a, b in combinations(both, 2) if abs(a[1] - b[1]) > margin]
        found = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in ordered)
        if ordered:
            results.append(Agreement(name, found, len(ordered), margin))
    return results


def _figures(line: Line, metric: str) -> tuple[float, float] | None:
    """Ours and the paper's, where both are numbers."""
    if metric not in line.scores:
        return None
    ours, theirs = line.scores[metric].mean, published_number(line.published.get(metric))
    return None if math.isnan(ours) or theirs is None else (ours, theirs)
