"""A table as cells of text, before formatting."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from codeclab.benchmarks.evaluate.columns import COLUMNS, form, heading, title
from codeclab.benchmarks.evaluate.evaluation import TOGETHER
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.agreement import agreement
from codeclab.benchmarks.tables.paired import compared, is_clear
from codeclab.benchmarks.tables.published import SINGLE_SOURCE, is_single_source, published_number
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Line, Score, Table, best, lines
from codeclab.codecs.wording import by_number

NOTHING = "—"
"""Shown if there is no figure."""

IN_BOLD = "Bold: the best at its bitrate and all whose intervals overlap its interval, if at least one does not."
NOT_RANKED = "These rows were trained too briefly to be ranked: no figure is marked as the best."
MARKED = f"{SINGLE_SOURCE} marks figures that only the paper gives; a second source confirms the others."
AS_SPENT = "for baselines and for codecs that cut audio into segments, kbps are those really used"
AGAINST = "Clip by clip against"
PAIRED = "{}: mean differences on the same files; bold if the 95 % interval excludes 0."
ONE_SEED = "Each row was trained once, so intervals leave out differences between seeds. --seeds 3 measures them."
NOT_THE_PAPERS = (
    "Figures at this scale cannot stand for the paper's, whose codecs are larger and trained for longer. Only the "
    "direction of differences between rows can be compared."
)


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
    grid = _figures_grid(table, shown, [*table.metrics, *table.own_columns])
    with_parameters = any(row.parameters is not None for row in table.rows)
    with_time = any(row.wall_seconds is not None for row in table.rows)
    headings = [*grid.headings, *["Parameters"] * with_parameters, *["Time"] * with_time]
    for i, line in enumerate(shown):
        first = i == 0 or shown[i - 1].row is not line.row
        grid.rows[i] += [Cell(count(line.row.parameters) if first else "")] * with_parameters
        grid.rows[i] += [Cell(duration(line.row.wall_seconds) if first else "")] * with_time
    return Grid(headings, grid.rows)


def domain_grids(table: Table) -> dict[str, Grid]:
    """The same for each domain that was measured or has published figures; none where there is only one domain."""
    if len(table.domains) < 2:
        return {}
    return {domain: _domain_grid(table, lines(table, domain)) for domain in table.domains}


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
        own = codebook_entropies(row)
        for index, line in enumerate(cells):
            theirs = row.spec.entropies[index] if index < len(row.spec.entropies) else None
            line += [Cell(f"{own[index]:.3f}" if index < len(own) else NOTHING)]
            line += [Cell(NOTHING if theirs is None else f"{theirs:.3f}")]
    headings = ["Codebook", *(heading for row in rows for heading in (row.name, "published"))]
    return {"Entropy of each codebook, bits": Grid(headings, cells)}


def codebook_entropies(row: RowResult) -> list[float]:
    """Bits per code of each codebook over all clips at a row's highest bitrate; empty where it was not measured."""
    if row.codebooks is None or row.codebooks.empty:
        return []
    codes = row.codebooks[(row.codebooks["domain"] == ALL) & (row.codebooks["codebook"] != TOGETHER)]
    return [float(bits) for bits in codes.loc[codes["bitrate_kbps"] == codes["bitrate_kbps"].max(), "entropy_bits"]]


def paired_grids(table: Table) -> dict[str, Grid]:
    """Differences to the row that the table compares with, under one heading; none where nothing can be compared."""
    found = compared(table)
    names = [name for name in table.metrics if any(name in scores for _, _, scores in found)]
    if not names:
        return {}
    rows = []
    for row, bitrate, scores in found:
        cells = [_difference_cell(scores[name], name) if name in scores else Cell(NOTHING) for name in names]
        rows.append([Cell(row.name), Cell(f"{bitrate:.4g}"), *cells])
    return {f"{AGAINST} {table.against}": Grid(["Row", "kbps", *map(heading, names)], rows)}


def _difference_cell(score: Score, name: str) -> Cell:
    if math.isnan(score.mean):
        return Cell(NOTHING)
    interval = "" if math.isnan(score.ci95) else f" ± {score.ci95:{form(name)}}"
    return Cell(f"{score.mean:+{form(name)}}{interval}", is_clear(score))


def _domain_grid(table: Table, shown: list[Line]) -> Grid:
    """The metrics and listening figures; the other columns are the same in every domain."""
    heard = [name for name in table.own_columns if any(name in {*line.scores, *line.published} for line in shown)]
    return _figures_grid(table, shown, [*table.metrics, *heard])


def _figures_grid(table: Table, shown: list[Line], names: Sequence[str]) -> Grid:
    bold = best(table, shown)
    beside = {name for line in shown for name in line.published}
    alone = [name for name in table.published_only if name in beside]
    measured = [name for name in names if name in beside or any(name in line.scores for line in shown)]
    # Metrics that nobody has figures for keep their place, so that a table looks the same before and after.
    kept = [name for name in names if name in measured or not any(line.published for line in shown)]
    headings = ["Row", "kbps"]
    for name in kept:
        headings += [heading(name)] + ["published"] * (name in beside)
    headings += [f"{title(name)}, published only" for name in alone]
    rows = []
    for i, line in enumerate(shown):
        cells = [Cell(line.row.name), Cell(kbps(line))]
        for name in kept:
            cells.append(_score_cell(line, name, (i, name) in bold))
            if name in beside:
                cells.append(Cell(published(line.published.get(name), name)))
        cells += [Cell(published(line.published.get(name), name)) for name in alone]
        rows.append(cells)
    return Grid(headings, rows)


def notes(table: Table) -> list[str]:
    """All notes under the table, the table's own notes last."""
    shown = lines(table)
    found = []
    measured = [line.scores[name] for line in shown for name in table.metrics if name in line.scores]
    if measured:
        over = spanned({score.n + score.failed for score in measured}, "file")
        seeds = {row.seeds for row in table.rows if row.summary is not None}
        over += f" and {spanned(seeds, 'seed')}" if max(seeds) > 1 else ""
        spent = f"; {AS_SPENT}" if any(row.requested for row in table.rows) else ""
        found.append(f"± is half of the 95 % confidence interval over {over}; kbps are nominal{spent}.")
    paired = [PAIRED.format(title) for title in paired_grids(table)]
    alone = any(row.seeds == 1 and row.wall_seconds is not None for row in table.rows)  # a training takes time
    found += paired + [ONE_SEED] * (bool(paired) and alone)
    stated = any(row.stated for row in table.rows)
    if table.source and stated:
        found.append(f"Published figures: {table.source}.")
    if any(
        is_single_source(figure) for row in table.rows for stated in row.stated for figure in stated.published.values()
    ):
        found.append(MARKED)
    open_columns = [name for name in table.columns if name not in table.own_columns]
    found += [f"{COLUMNS[name].title}: {COLUMNS[name].open}." for name in open_columns]
    found += _listening(table)
    found += [IN_BOLD] * bool(best(table, shown)) + [NOT_RANKED] * (bool(measured) and not table.ranked)
    found += [NOT_THE_PAPERS] * (bool(measured) and stated and not table.beside_paper)
    found += [f"{finding.text}." for finding in agreement(table)]
    found += _failures(shown, table.metrics)
    for row in table.rows:
        if row.error:
            found.append(f"{row.name} {'is' if row.absent else 'failed:'} {one_line(row.error)}.")
    return found + list(table.notes)


def _listening(table: Table) -> list[str]:
    """One sentence for each listening test that figures of the table are of."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.listened:
            rows.setdefault(row.listened, []).append(row.name)
    title = COLUMNS["mushra"].title
    if len(rows) < 2:
        return [f"{title}: {test}; ± over ratings." for test in rows]
    found = [f"{title} of {', '.join(names)}: {test}; ± over ratings." for test, names in rows.items()]
    return [*found, f"{title} of different listening tests cannot be compared."]


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
        files = spanned([score.n + score.failed for _, score in cases], "file")
        sentences.append(f"{row} at {bitrates} kbps: {METRICS[name].title} is missing for {failed} of {files}.")
    return sentences


def span(counts: Collection[int]) -> str:
    """Counts as "3", or as "3 to 5" where they differ."""
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _score_cell(line: Line, name: str, bold: bool) -> Cell:
    if line.row.error and not line.scores:
        return Cell(line.row.trouble)
    if name not in line.scores or math.isnan(line.scores[name].mean):
        return Cell(NOTHING)
    score = line.scores[name]
    interval = "" if math.isnan(score.ci95) else f" ± {score.ci95:{form(name)}}"
    return Cell(f"{score.mean:{form(name)}}{interval}", bold)


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


def spanned(counts: Collection[int], thing: str) -> str:
    """Counts of a thing, as "1 file" or "3 to 5 files"."""
    return f"{span(counts)} {by_number(max(counts), thing, thing + 's')}"
