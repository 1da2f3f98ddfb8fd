"""A comparison: rows that were measured, beside the figures that a paper published for them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.metrics.registry import METRICS, metrics_named
from codeclab.benchmarks.metrics.synonyms import one_of_each
from codeclab.benchmarks.tables.row import RowResult
from codeclab.codecs.bitrate import about_bitrate, same_bitrate

FIGURES = ("rate_quality", "dropout", "codebook_usage")
"""Kinds of picture: curves over the bitrate; the same of rows that differ by degrees; entropy of each codebook."""


@dataclass
class Table:
    """A comparison of rows.

    Args:
        title: title of the comparison.
        source: origin of the published figures, such as "EnCodec (2022), Table 2".
        metrics: names from ``METRICS``, in the order of the columns.
        rows: rows in the paper's order.
        notes: lines to print under the table.
        ranked: whether the best figure at a bitrate may be set in bold: False for runs too short to rank.
        full_size: whether the rows are as large and trained for as long as the paper's, so that its figures can stand
            beside theirs; None where that is so of ranked rows.
        columns: names from ``COLUMNS``, shown after the metrics.
        margin: published difference, by metric, above which ``agreement`` counts a pair of rows; 0 where not given.
        figure: kind of the picture, from ``FIGURES``; None draws every metric.
        against: name of the row that the others are compared with clip by clip; without it, none are.

    Raises:
        ValueError: a metric or column is unknown or given twice, or two rows have the same name.
    """

    title: str
    source: str
    metrics: Sequence[str]
    rows: list[RowResult]
    notes: list[str] = field(default_factory=list)
    ranked: bool = False
    full_size: bool | None = None
    columns: Sequence[str] = ()
    margin: Mapping[str, float] = field(default_factory=dict)
    figure: str | None = None
    against: str | None = None

    def __post_init__(self) -> None:
        """Refuse unknown metrics and rows with the same name; a metric of two names is one column."""
        self.metrics = one_of_each(self.metrics)
        self.rows = [row.named_as(self.metrics) for row in self.rows]
        metrics_named(self.metrics)
        unknown = [name for name in self.columns if name not in COLUMNS]
        if unknown:
            raise ValueError(f"unknown column {', '.join(map(repr, unknown))}; known: {', '.join(COLUMNS)}")
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rows need different names, but {', '.join(map(repr, twice))} is used twice")

    @property
    def beside_paper(self) -> bool:
        """Whether the paper's figures can be drawn beside these."""
        return self.ranked if self.full_size is None else self.full_size

    @property
    def domains(self) -> list[str]:
        """The domains measured or published, without ``"all"``."""
        measured = {d for row in self.rows if row.summary is not None for d in row.summary["domain"]}
        published = dict.fromkeys(figures.domain for row in self.rows for figures in row.spec.stated)
        return [*sorted(measured - {ALL}), *(domain for domain in published if domain not in {ALL, *measured})]

    @property
    def own_columns(self) -> list[str]:
        """The columns for which the suite has figures of its own: always, or here because of a listening test."""
        measured = {name for row in self.rows if row.summary is not None for name in row.summary["metric"]}
        return [name for name in self.columns if COLUMNS[name].open is None or name in measured]

    @property
    def published_only(self) -> list[str]:
        """Names in the published figures for which nothing here is measured, in order of appearance."""
        names = dict.fromkeys(name for row in self.rows for figures in row.spec.stated for name in figures.published)
        return [name for name in names if name not in {*self.metrics, *self.own_columns}]


class Score(NamedTuple):
    """A mean over files, with its 95 % interval (NaN if there is none) and its number of files."""

    mean: float
    ci95: float
    n: int
    failed: int

    @property
    def is_finite(self) -> bool:
        """Whether the mean can be drawn."""
        return math.isfinite(self.mean)


@dataclass(frozen=True)
class Line:
    """One row at one bitrate (true kbps; None where it was not measured and the paper's is not given)."""

    row: RowResult
    bitrate: float | None
    scores: dict[str, Score]
    published: Mapping[str, float | str]
    label: str | None = None


def lines(table: Table, domain: str = ALL) -> list[Line]:
    """Every row at every bitrate, in the table's order and from the lowest bitrate.

    Args:
        table: table whose rows are listed.
        domain: domain of the clips, and of the published figures.
    """
    names = (*table.metrics, *table.own_columns)
    return [line for row in table.rows for line in _lines_of(row, domain, names)]


def _lines_of(row: RowResult, domain: str, names: Sequence[str]) -> list[Line]:
    scores = _scores(row, domain, names)
    stated = [figures for figures in row.spec.stated if figures.domain == domain]
    homes = [_published_bitrate(figures.bitrate, {b: row.requested_for(b) for b in scores}) for figures in stated]
    table_lines = []
    for bitrate in sorted(scores):
        here = [figures for figures, home in zip(stated, homes, strict=True) if home == bitrate]
        published = {name: figure for figures in here for name, figure in figures.published.items()}
        label = next((figures.label for figures in here if figures.label), None)
        table_lines.append(Line(row, bitrate, scores[bitrate], published, label))
    away = [figures for figures, home in zip(stated, homes, strict=True) if home is None]
    table_lines += [Line(row, figures.bitrate, {}, figures.published, figures.label) for figures in away]
    if not table_lines and domain == ALL and (row.error or not row.spec.stated):
        table_lines.append(Line(row, row.spec.bitrate, {}, {}))
    # Lines without a bitrate have it from nowhere: they are alone.
    return sorted(table_lines, key=lambda line: line.bitrate or 0.0)


def _scores(row: RowResult, domain: str, names: Sequence[str]) -> dict[float, dict[str, Score]]:
    scores: dict[float, dict[str, Score]] = {}
    if row.summary is not None:
        for cell in row.summary[row.summary["domain"] == domain].to_dict("records"):
            if cell["metric"] in names:
                score = Score(float(cell["mean"]), float(cell["ci95"]), int(cell["n"]), int(cell["failed"]))
                scores.setdefault(float(cell["bitrate_kbps"]), {})[cell["metric"]] = score
    return scores


def _published_bitrate(wanted: float | None, measured: dict[float, float]) -> float | None:
    """The measured bitrate beside which published figures stand, in kbps; None where none is near.

    Args:
        wanted: the figures' bitrate in kbps; None is the highest.
        measured: bitrate requested, by the one measured, both in kbps.
    """
    if not measured:
        return None
    if wanted is None:
        return max(measured)
    nearest = min(measured, key=lambda bitrate: abs(measured[bitrate] - wanted))
    return nearest if about_bitrate(measured[nearest], wanted) else None


def best(table: Table, table_lines: list[Line]) -> set[tuple[int, str]]:
    """The cells in bold, as (index of line, metric): the best at a bitrate, and those that do not differ from it.

    Figures differ if their 95 % intervals, over files and seeds, do not overlap. If the best differs from none, no
    figure is bold; nor is any in a table that is not ranked, among figures without an interval, or among means over
    different numbers of files, as where a metric failed on some.

    Args:
        table: table that says whether its rows are ranked.
        table_lines: the lines to compare.
    """
    cells: set[tuple[int, str]] = set()
    for name in table.metrics if table.ranked else ():
        scored = [(i, line) for i, line in enumerate(table_lines) if name in line.scores]
        scored = [(i, line) for i, line in scored if not math.isnan(line.scores[name].mean)]
        for i, line in scored:
            rivals = [other.scores[name] for _, other in scored if same_bitrate(line.bitrate, other.bitrate)]
            if len({score.n for score in rivals}) > 1:
                continue
            choose = max if METRICS[name].higher_is_better else min
            top = choose(rivals, key=lambda score: score.mean)
            if any(differ(top, score) for score in rivals) and not differ(top, line.scores[name]):
                cells.add((i, name))
    return cells


def differ(first: Score, second: Score) -> bool:
    """Whether two means' 95 % intervals do not overlap; False if one has no interval."""
    return abs(first.mean - second.mean) > first.ci95 + second.ci95
