"""Counts how many of a paper's orderings between rows are reproduced."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from codeclab.benchmarks.evaluate.columns import SETTINGS, described
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.published import published_number
from codeclab.benchmarks.tables.table import Line, Table, lines

ENTROPY = "entropy of a codebook"
"""Name of the paper's bits per code of each codebook, as in DAC's Figure 1."""

TOGETHER = "all figures"
"""Name of the count over all of a table's metrics."""


@dataclass(frozen=True)
class Agreement:
    """The number of pairs of rows, of those that a paper orders by a metric, that have the same order here.

    Args:
        metric: name of the metric or column, or ``ENTROPY``, or ``TOGETHER``.
        concordant: pairs in the paper's order; a tie is not counted as one.
        pairs: pairs whose published figures differ by more than the margin and which were both measured.
        margin: margin in the metric's own unit.
    """

    metric: str
    concordant: int
    pairs: int
    margin: float = 0.0

    @property
    def chance(self) -> float:
        """The number of pairs that a random order of the rows gives on average."""
        return self.pairs / 2

    @property
    def text(self) -> str:
        """The finding in one sentence, with the margin and the chance level."""
        about = described(self.metric)
        size = f"{100 * self.margin:g} %" if about.form.endswith("%") else f"{self.margin:g} {about.unit}".rstrip()
        margin = f" by more than {size}" if self.margin else ""
        orderings = f"{self.concordant} of {self.pairs} of the paper's orderings{margin}"
        return f"{about.title[0].upper()}{about.title[1:]}: found {orderings} (chance: {self.chance:g})"


def agreement(table: Table) -> list[Agreement]:
    """Count, per metric, the paper's orderings that are reproduced; metrics without a pair are left out.

    Every row takes part at each bitrate of its published figures, and so it does in each domain that the paper has
    figures of: pairs are within one, and of different rows, as no codec can miss that more bits sound better. Settings,
    such as a sampling rate, take no part. Of plotted entropies every codebook of every row takes part. A pair counts
    where the figures differ by more than the table's margin. Of several metrics the last finding is the sum. The order
    does not depend on whether higher is better: only on whether the paper's larger figure is the larger one here. Pairs
    are not independent of each other: the chance level is what a random order finds on average, not a threshold of
    significance.

    Args:
        table: rows measured, with published figures beside them.
    """
    groups = [lines(table, domain) for domain in (ALL, *table.domains)]
    results = []
    for name in (*table.metrics, *(column for column in table.own_columns if column not in SETTINGS)):
        points = [
            [(line.row.name, *pair) for line in group if (pair := _figures(line, name)) is not None] for group in groups
        ]
        results.append(_counted(name, points, table.margin.get(name, 0.0)))
    results.append(_counted(ENTROPY, [_entropies(table)], 0.0))
    return _with_sum([result for result in results if result.pairs])


def agreement_over(tables: Sequence[Table]) -> list[Agreement]:
    """``agreement`` over several tables: per metric the sum over them, and the sum of all.

    Pairs are within a table, where the paper orders its rows; each counts by its own table's margin, which is stated
    where all tables have the same.

    Args:
        tables: tables of one paper, or of several.
    """
    by_metric: dict[str, list[Agreement]] = {}
    for table in tables:
        for result in agreement(table):
            if result.metric != TOGETHER:
                by_metric.setdefault(result.metric, []).append(result)
    return _with_sum([_summed(metric, results) for metric, results in by_metric.items()])


def _with_sum(results: list[Agreement]) -> list[Agreement]:
    return [*results, _summed(TOGETHER, results)] if len(results) > 1 else results


def _summed(metric: str, results: Sequence[Agreement]) -> Agreement:
    margins = {result.margin for result in results}
    margin = margins.pop() if len(margins) == 1 and metric != TOGETHER else 0.0
    return Agreement(metric, sum(r.concordant for r in results), sum(r.pairs for r in results), margin)


def _counted(name: str, groups: Sequence[Sequence[tuple[str, float, float]]], margin: float) -> Agreement:
    """The pairs of different rows within each group of (row, ours, the paper's)."""
    both = [(a, b) for group in groups for a, b in combinations(group, 2) if a[0] != b[0]]
    ordered = [(a, b) for a, b in both if abs(a[2] - b[2]) > margin]
    return Agreement(name, sum((a[1] - b[1]) * (a[2] - b[2]) > 0 for a, b in ordered), len(ordered), margin)


def _entropies(table: Table) -> list[tuple[str, float, float]]:
    """Name, ours and the paper's bits of every codebook that has both, at each row's highest bitrate."""
    pairs = []
    for row in table.rows:
        own = row.each_codebook
        bits = dict(zip(own["codebook"].astype(int), own["entropy_bits"].astype(float), strict=True))
        both = [
            (f"{row.name} {k}", bits.get(k, math.nan), float(theirs))
            for k, theirs in enumerate(row.spec.entropies, 1)
            if theirs is not None
        ]
        pairs += [one for one in both if not math.isnan(one[1])]
    return pairs


def _figures(line: Line, metric: str) -> tuple[float, float] | None:
    """Ours and the paper's, where both are numbers."""
    if metric not in line.scores:
        return None
    ours, theirs = line.scores[metric].mean, published_number(line.published.get(metric))
    return None if math.isnan(ours) or theirs is None else (ours, theirs)
