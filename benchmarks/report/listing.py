"""The report's table as HTML: a line for each row, bitrate and domain, with the numbers to sort by."""

import math
from collections.abc import Sequence
from html import escape

from codeclab.benchmarks.evaluate.columns import heading, title
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.report.chart import STYLES
from codeclab.benchmarks.tables.grid import Cell, about_columns, figure_cells, figure_columns, kbps
from codeclab.benchmarks.tables.table import Line, Table, best, lines

EVERY = "all clips"
"""The page's name for the domain of all clips."""


def table_html(table: Table) -> str:
    """The table, its rows in the table's order; the script sorts and filters them."""
    domains = [ALL, *table.domains] if len(table.domains) > 1 else [ALL]
    lines_by_domain = {domain: lines(table, domain) for domain in domains}
    every = [line for group in lines_by_domain.values() for line in group]
    stated = {name for line in every for name in line.published}
    measured = {name for line in every for name in line.scores}
    names = [name for name in (*table.metrics, *table.own_columns) if name in measured | stated]
    alone = [name for name in table.published_only if name in stated]
    about = about_columns(table, "Training")
    columns = figure_columns(names, stated, alone)
    headings = ["Domain", "kbps"] if len(domains) > 1 else ["kbps"]
    headings += [f"{title(one.name)}, published" if one.is_published else heading(one.name) for one in columns]
    headings += about
    head = _heading("Row", "text") + "".join(
        _heading(words, "text" if words == "Domain" else "number") for words in headings
    )
    body = []
    for domain in domains:
        bold = best(table, lines_by_domain[domain])
        for i, line in enumerate(lines_by_domain[domain]):
            best_here = {name for index, name in bold if index == i}
            cells = figure_cells(line, columns, best_here)
            cells = [Cell(kbps(line), value=line.bitrate), *cells, *(cell_of(line) for cell_of in about.values())]
            body.append(_line(table, line, domain, len(domains) > 1, cells))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of results; scrolls sideways">'
        f'<table id="figures"><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _heading(words: str, kind: str) -> str:
    return (
        f'<th scope="col" data-kind="{kind}" aria-sort="none"><button type="button">{escape(words)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _line(table: Table, line: Line, domain: str, with_domain: bool, figures: Sequence[Cell]) -> str:
    position = next(i for i, row in enumerate(table.rows) if row is line.row)
    name = escape(line.row.name)
    key = f'<span class="key c{position % STYLES}" aria-hidden="true"></span>'
    cells = [f'<th scope="row" data-sort="{name}">{key}{name}</th>']
    if with_domain:
        label = escape(EVERY if domain == ALL else domain)
        cells.append(f'<td class="text" data-sort="{label}">{label}</td>')
    cells += map(_cell, figures)
    hidden = "" if domain == ALL else " hidden"
    return f'<tr data-domain="{escape(domain)}"{hidden}>{"".join(cells)}</tr>'


def _cell(cell: Cell) -> str:
    sort = "" if cell.value is None or math.isnan(cell.value) else f"{cell.value:.10g}"
    text = escape(cell.text).replace(" ± ", ' <span class="pm">± ') + ("</span>" if " ± " in cell.text else "")
    return f'<td data-sort="{sort}">{f"<strong>{text}</strong>" if cell.bold else text}</td>'
