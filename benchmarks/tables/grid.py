"""A table as cells of text, before formatting."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codeclab.benchmarks.evaluate.columns import COLUMNS, form, heading, title
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.agreement import agreement
from codeclab.benchmarks.tables.paired import compared, is_clear
from codeclab.benchmarks.tables.published import SINGLE_SOURCE, is_single_source, published_number
from codeclab.benchmarks.tables.row import ABSENT
from codeclab.benchmarks.tables.table import Line, Score, Table, best, lines
from codeclab.codecs.wording import by_number, duration

NOTHING = "—"
"""Shown if there is no figure."""

IN_BOLD = "Bold: the best at its bitrate and all whose intervals overlap its interval, if at least one does not."
NOT_RANKED = "These rows were trained too briefly to be ranked: no figure is marked as the best."
MARKED = f"{SINGLE_SOURCE} marks figures that only the paper gives; a second source confirms the others."
AS_SPENT = "for baselines and for codecs that cut audio into segments, kbps are the rates actually used"
AGAINST = "Clip by clip against"
PAIRED = "{}: mean differences on the same files; bold if the 95 % interval excludes 0."
ONE_SEED = "Each row was trained once, so the intervals do not cover variation between seeds; use --seeds 3."
NOT_THE_PAPERS = (
    "Figures at this scale cannot stand for the paper's, whose codecs are larger and trained for longer. Only the "
    "direction of differences between rows can be compared."
)


class Cell(NamedTuple):
    """A cell's text, whether it is the best of its kind, and what it is sorted by (None goes last)."""

    text: str
    bold: bool = False
    value: float | None = None


class FigureColumn(NamedTuple):
    """A column with a line's figure of one name: ours, or the one that the paper published."""

    name: str
    is_published: bool = False


@dataclass(frozen=True)
class Grid:
    """Headings and cells; ``left`` columns at the start hold text, the others figures."""

    headings: list[str]
    rows: list[list[Cell]]
    left: int = 1


def main_grid(table: Table) -> Grid:
    """One line per row and bitrate over all clips, published figures beside ours."""
    table_lines = lines(table)
    grid = _figures_grid(table, table_lines, [*table.metrics, *table.own_columns])
    about = about_columns(table)
    for i, line in enumerate(table_lines):
        first = i == 0 or table_lines[i - 1].row is not line.row
        grid.rows[i] += [cell_of(line) if first else Cell("") for cell_of in about.values()]
    return Grid([*grid.headings, *about], grid.rows)


def about_columns(table: Table, time: str = "Time") -> dict[str, Callable[[Line], Cell]]:
    """Columns about the row itself, where any row has them: by heading, the cell of a line.

    Args:
        table: table whose rows are described.
        time: heading of the training's duration.
    """
    known: dict[str, Callable[[Line], Cell]] = {}
    if any(row.parameters is not None for row in table.rows):
        known["Parameters"] = lambda line: Cell(count(line.row.parameters), value=line.row.parameters)
    if any(row.wall_seconds is not None for row in table.rows):
        known[time] = lambda line: Cell(_wall_time(line), value=line.row.wall_seconds)
    return known


def domain_grids(table: Table) -> dict[str, Grid]:
    """The same for each domain that was measured or has published figures; none where there is only one domain."""
    grids = {}
    for domain in table.domains if len(table.domains) > 1 else ():
        table_lines = lines(table, domain)
        known = {name for line in table_lines for name in (*line.scores, *line.published)}
        # The metrics and listening figures: the other columns are the same in every domain.
        heard = [name for name in table.own_columns if name in known]
        grids[domain] = _figures_grid(table, table_lines, [*table.metrics, *heard])
    return grids


def further_grids(table: Table) -> dict[str, Grid]:
    """The grids below the main one, by heading: rows clip by clip, then each domain."""
    return paired_grids(table) | codebook_grids(table) | domain_grids(table)


def codebook_grids(table: Table) -> dict[str, Grid]:
    """Entropy of each codebook at every row's highest bitrate beside the paper's, where the table is about that."""
    rows = [row for row in table.rows if row.spec.entropies]
    if not rows:
        return {}
    most = max(len(row.spec.entropies) for row in rows)
    cells = [[Cell(str(index + 1))] for index in range(most)]
    for row in rows:
        own = row.each_codebook["entropy_bits"].tolist()
        for index, line in enumerate(cells):
            theirs = row.spec.entropies[index] if index < len(row.spec.entropies) else None
            line += [Cell(f"{own[index]:.3f}" if index < len(own) else NOTHING)]
            line += [Cell(NOTHING if theirs is None else f"{theirs:.3f}")]
    headings = ["Codebook", *(heading for row in rows for heading in (row.name, "published"))]
    return {"Entropy of each codebook, bits": Grid(headings, cells)}


def paired_grids(table: Table) -> dict[str, Grid]:
    """Differences to the row that the table compares with, under one heading; none where nothing can be compared."""
    comparisons = compared(table)
    names = [name for name in table.metrics if any(name in scores for _, _, scores in comparisons)]
    if not names:
        return {}
    rows = []
    for row, bitrate, scores in comparisons:
        cells = [_difference_cell(scores.get(name), name) for name in names]
        rows.append([Cell(row.name), Cell(f"{bitrate:.4g}"), *cells])
    return {f"{AGAINST} {table.against}": Grid(["Row", "kbps", *map(heading, names)], rows)}


def _difference_cell(score: Score | None, name: str) -> Cell:
    if score is None:
        return Cell(NOTHING)
    return Cell(with_interval(score.mean, score.ci95, f"+{form(name)}"), is_clear(score))


def _figures_grid(table: Table, table_lines: list[Line], names: Sequence[str]) -> Grid:
    bold = best(table, table_lines)
    beside = {name for line in table_lines for name in line.published}
    alone = [name for name in table.published_only if name in beside]
    measured = [name for name in names if name in beside or any(name in line.scores for line in table_lines)]
    # Metrics that nobody has figures for keep their place, so that a table looks the same before and after.
    printed_names = [name for name in names if name in measured or not any(line.published for line in table_lines)]
    columns = figure_columns(printed_names, beside, alone)
    headings = ["Row", "kbps"]
    for column in columns:
        if not column.is_published:
            headings.append(heading(column.name))
        else:
            headings.append(f"{title(column.name)}, published only" if column.name in alone else "published")
    rows = []
    for i, line in enumerate(table_lines):
        best_here = {name for index, name in bold if index == i}
        rows.append([Cell(line.row.name), Cell(kbps(line)), *figure_cells(line, columns, best_here)])
    return Grid(headings, rows)


def figure_columns(names: Sequence[str], beside: Collection[str], alone: Sequence[str]) -> list[FigureColumn]:
    """Ours of each name, followed by the paper's where that has any, and then what only the paper has.

    Args:
        names: names of metrics and columns.
        beside: those of the names of which the paper has figures.
        alone: names of which only the paper has any.
    """
    columns = []
    for name in names:
        columns.append(FigureColumn(name))
        if name in beside:
            columns.append(FigureColumn(name, is_published=True))
    return columns + [FigureColumn(name, is_published=True) for name in alone]


def figure_cells(line: Line, columns: Sequence[FigureColumn], bold: Collection[str]) -> list[Cell]:
    """A line's figures.

    Args:
        line: line of the table: a row at a bitrate.
        columns: columns of figures.
        bold: names whose figure is the best of its kind.
    """
    return [
        _published_cell(line, column.name)
        if column.is_published
        else _score_cell(line, column.name, column.name in bold)
        for column in columns
    ]


def notes(table: Table) -> list[str]:
    """All notes under the table, the table's own notes last."""
    table_lines = lines(table)
    sentences = []
    measured = [line.scores[name] for line in table_lines for name in table.metrics if name in line.scores]
    if measured:
        over = spanned({score.n + score.failed for score in measured}, "file")
        seeds = {row.seeds for row in table.rows if row.summary is not None}
        over += f" and {spanned(seeds, 'seed')}" if max(seeds) > 1 else ""
        spent = f"; {AS_SPENT}" if any(row.requested for row in table.rows) else ""
        sentences.append(f"± is half of the 95 % confidence interval over {over}; kbps are nominal{spent}.")
    paired = [PAIRED.format(title) for title in paired_grids(table)]
    alone = any(row.seeds == 1 and row.wall_seconds is not None for row in table.rows)  # a training takes time
    sentences += paired
    if paired and alone:
        sentences.append(ONE_SEED)
    stated = [figures for row in table.rows for figures in row.spec.stated]
    if table.source and stated:
        sentences.append(f"Published figures: {table.source}.")
    if any(is_single_source(figure) for one in stated for figure in one.published.values()):
        sentences.append(MARKED)
    open_columns = [name for name in table.columns if name not in table.own_columns]
    sentences += [f"{COLUMNS[name].title}: {COLUMNS[name].open}." for name in open_columns]
    sentences += _listening(table)
    if best(table, table_lines):
        sentences.append(IN_BOLD)
    if measured and not table.ranked:
        sentences.append(NOT_RANKED)
    if measured and stated and not table.beside_paper:
        sentences.append(NOT_THE_PAPERS)
    sentences += [f"{finding.text}." for finding in agreement(table)]
    sentences += _failures(table_lines, table.metrics)
    failed = [(row, row.error) for row in table.rows if row.error]
    sentences += [f"{row.name} {'is' if row.absent else 'failed:'} {one_line(error)}." for row, error in failed]
    return sentences + list(table.notes)


def _listening(table: Table) -> list[str]:
    """One sentence for each listening test that figures of the table are of."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.listened:
            rows.setdefault(row.listened, []).append(row.name)
    title = COLUMNS["mushra"].title
    if len(rows) < 2:
        return [f"{title}: {test}; ± is half of the 95 % interval over ratings." for test in rows]
    sentences = [
        f"{title} of {', '.join(names)}: {test}; ± is half of the 95 % interval over ratings."
        for test, names in rows.items()
    ]
    return [*sentences, f"{title} of different listening tests cannot be compared."]


def _failures(table_lines: list[Line], metrics: Sequence[str]) -> list[str]:
    """One sentence for each row and metric with files that have no score."""
    failed_scores: dict[tuple[str, str], list[tuple[float | None, Score]]] = {}
    for line in table_lines:
        for name in metrics:
            if name in line.scores and line.scores[name].failed:
                failed_scores.setdefault((line.row.name, name), []).append((line.bitrate, line.scores[name]))
    sentences = []
    seeds = {line.row.name: line.row.seeds for line in table_lines}
    for (row, name), cases in failed_scores.items():
        bitrates = ", ".join(f"{bitrate:.4g}" for bitrate, _ in cases)
        failed = span([score.failed for _, score in cases])
        files = spanned([score.n + score.failed for _, score in cases], "file")
        of_seeds = " in one seed or more" if seeds[row] > 1 else ""
        sentences.append(
            f"{row} at {bitrates} kbps: {METRICS[name].title} is missing for {failed} of {files}{of_seeds}."
        )
    return sentences


def span(counts: Collection[int]) -> str:
    """Counts as "3", or as "3 to 5" where they differ."""
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _score_cell(line: Line, name: str, bold: bool) -> Cell:
    if line.row.error and not line.scores:
        return Cell(ABSENT.rstrip(": ") if line.row.absent else "failed")
    score = line.scores.get(name)
    if score is None:
        return Cell(NOTHING)
    return Cell(with_interval(score.mean, score.ci95, form(name)), bold, score.mean)


def _published_cell(line: Line, name: str) -> Cell:
    figure = line.published.get(name)
    return Cell(published(figure, name), value=published_number(figure))


def with_interval(mean: float, half_width: float, spec: str) -> str:
    """A mean with half of its interval, where there is one, such as "3.20 ± 0.12"; ``NOTHING`` of no number.

    Args:
        mean: mean of the scores.
        half_width: half of its interval; NaN where there is none.
        spec: format specification of both; a sign in it is the mean's.
    """
    if math.isnan(mean):
        return NOTHING
    return f"{mean:{spec}}" + ("" if math.isnan(half_width) else f" ± {half_width:{spec.lstrip('+')}}")


def kbps(line: Line) -> str:
    """True kbps of a line, with the paper's label or the requested kbps if there is one."""
    if line.bitrate is None:
        return NOTHING
    true = f"{line.bitrate:.4g}"
    requested = f"{line.row.requested_for(line.bitrate):.4g}"
    label = line.label or (f"{requested} requested" if requested != true else None)
    return f"{true} ({label})" if label else true


def published(figure: float | str | None, name: str) -> str:
    """A published figure with no fewer decimals than it was given with."""
    if figure is None:
        return NOTHING
    if isinstance(figure, str):
        number = published_number(figure)
        return f"{published(number, name)}{SINGLE_SOURCE}" if is_single_source(figure) else one_line(figure)
    if form(name).endswith("%"):
        return f"{100 * figure:.4g}%"
    return max(format(figure, form(name)), f"{figure:.10g}", key=lambda text: len(text.partition(".")[2]))


def count(number: int | None) -> str:
    """A number of weights, such as "14.9 M"."""
    if number is None:
        return NOTHING
    for size, unit in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def one_line(text: str) -> str:
    """Text without line breaks and without a full stop at its end."""
    return " ".join(text.split()).rstrip(".")


def spanned(counts: Collection[int], thing: str) -> str:
    """Counts of a thing, as "1 file" or "3 to 5 files"."""
    return f"{span(counts)} {by_number(max(counts), thing, thing + 's')}"


def _wall_time(line: Line) -> str:
    seconds = line.row.wall_seconds
    return NOTHING if seconds is None else duration(seconds)
