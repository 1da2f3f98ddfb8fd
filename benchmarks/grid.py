"""A table as cells of text, before any format's own marks."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codeclab.benchmarks.agreement import agreement
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.table import Line, Score, Table, best, lines

NOTHING = "—"
"""Stands where there is no figure."""

NOT_RANKED = "Rows this short are not ranked: no figure is marked as the best."


class Cell(NamedTuple):
    """A cell's text and whether it is the best of its kind."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Grid:
    """Headings and cells; ``left`` columns at the start hold text, the others figures."""

    headings: list[str]
    rows: list[list[Cell]]
    left: int = 1


def main_grid(table: Table) -> Grid:
    """One line per row and bitrate over all clips, published figures beside ours."""
    shown = lines(table)
    bold = best(table, shown)
    beside = {name for line in shown for name in line.published}
    headings = ["Row", "kbps"]
    for name in table.metrics:
        headings += [METRICS[name].heading] + ["published"] * (name in beside)
    headings += [f"{METRICS[name].title if name in METRICS else name}, published only" for name in table.published_only]
    with_parameters = any(row.parameters is not None for row in table.rows)
    with_time = any(row.wall_seconds is not None for row in table.rows)
    headings += ["Parameters"] * with_parameters + ["Time"] * with_time
    rows = []
    for i, line in enumerate(shown):
        cells = [Cell(line.row.name), Cell(kbps(line))]
        for name in table.metrics:
            cells.append(_score_cell(line, name, (i, name) in bold))
            if name in beside:
                cells.append(Cell(published(line.published.get(name), name)))
        cells += [Cell(published(line.published.get(name), name)) for name in table.published_only]
        first = i == 0 or shown[i - 1].row is not line.row
        cells += [Cell(count(line.row.parameters) if first else "")] * with_parameters
        cells += [Cell(duration(line.row.wall_seconds) if first else "")] * with_time
        rows.append(cells)
    return Grid(headings, rows)


def domain_grids(table: Table) -> dict[str, Grid]:
    """The same without published figures for each domain; none where there is only one domain."""
    if len(table.domains) < 2:
        return {}
    grids = {}
    for domain in table.domains:
        shown = lines(table, domain)
        bold = best(table, shown)
        rows = [
            [Cell(line.row.name), Cell(kbps(line))]
            + [_score_cell(line, name, (i, name) in bold) for name in table.metrics]
            for i, line in enumerate(shown)
        ]
        grids[domain] = Grid(["Row", "kbps", *(METRICS[name].heading for name in table.metrics)], rows)
    return grids


def notes(table: Table) -> list[str]:
    """Everything that belongs under the table, the table's own notes last."""
    shown = lines(table)
    found = []
    counts = {score.n + score.failed for line in shown for score in line.scores.values()}
    if counts:
        found.append(f"± is half of the 95 % confidence interval over {span(counts)} files; kbps are nominal.")
    if table.source and any(row.published for row in table.rows):
        found.append(f"Published figures: {table.source}.")
    if counts and not table.ranked:
        found.append(NOT_RANKED)
    found += [f"{finding.text}." for finding in agreement(table)]
    found += _failures(shown, table.metrics)
    found += [f"{row.name} failed: {one_line(row.error)}." for row in table.rows if row.error]
    return found + list(table.notes)


def _failures(shown: list[Line], metrics: Sequence[str]) -> list[str]:
    """One sentence for each row and metric with files that have no score."""
    found: dict[tuple[str, str], list[tuple[float | None, Score]]] = {}
    for line in shown:
        for name in metrics:
            if name in line.scores and line.scores[name].failed:
                found.setdefault((line.row.name, name), []).append((line.bitrate, line.scores[name]))
    sentences = []
    for (row, name), cases in found.items():
        bitrates = ", ".join(f"{bitrate:.4g}" for bitrate, _ in cases)
        failed = span([score.failed for _, score in cases])
        files = span([score.n + score.failed for _, score in cases])
        sentences.append(f"{row} at {bitrates} kbps: {METRICS[name].title} is missing for {failed} of {files} files.")
    return sentences


def span(counts: Collection[int]) -> str:
    """Counts as "3", or as "3 to 5" where they differ."""
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _score_cell(line: Line, name: str, bold: bool) -> Cell:
    if line.row.error and not line.scores:
        return Cell("failed")
    if name not in line.scores or math.isnan(line.scores[name].mean):
        return Cell(NOTHING)
    score, form = line.scores[name], METRICS[name].form
    interval = "" if math.isnan(score.ci95) else f" ± {score.ci95:{form}}"
    return Cell(f"{score.mean:{form}}{interval}", bold)


def kbps(line: Line) -> str:
    """True kbps of a line, and the paper's label of it where there is one."""
    true = NOTHING if line.bitrate is None else f"{line.bitrate:.4g}"
    return f"{true} ({line.row.label})" if line.row.label and line.published else true


def published(figure: float | str | None, name: str) -> str:
    """A published figure with no fewer decimals than it was given with."""
    if figure is None:
        return NOTHING
    if isinstance(figure, str):
        return one_line(figure)
    form = METRICS[name].form if name in METRICS else ""
    if form.endswith("%"):
        return f"{100 * figure:.4g}%"
    return max(format(figure, form), f"{figure:.10g}", key=lambda text: len(text.partition(".")[2]))


def count(number: int | None) -> str:
    """A number of weights, such as "14.9 M"."""
    if number is None:
        return NOTHING
    for size, unit in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def duration(seconds: float | None) -> str:
    """A wall-clock time, such as "3 min 05 s"."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def one_line(text: str) -> str:
    """Text without line breaks and without a full stop at its end."""
    return " ".join(text.split()).rstrip(".")
