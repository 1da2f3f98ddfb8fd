"""The report's table as HTML: a line for each row, bitrate and domain, with the numbers to sort by."""

import math
from collections.abc import Callable
from html import escape
from typing import NamedTuple

from codeclab.benchmarks.evaluate.columns import form, heading, title
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.report.chart import STYLES
from codeclab.benchmarks.tables.grid import NOTHING, count, duration, kbps, published
from codeclab.benchmarks.tables.published import published_number
from codeclab.benchmarks.tables.table import Line, Table, best, lines

EVERY = "all clips"
"""The page's name for the domain of all clips."""


class Item(NamedTuple):
    """A cell's text, what it is sorted by (None goes last), and whether it is the best of its kind."""

    text: str
    value: float | None
    bold: bool = False


def table_html(table: Table) -> str:
    """The table, its rows in the table's order; the script sorts and filters them."""
    domains = [ALL, *table.domains] if len(table.domains) > 1 else [ALL]
    lines_by_domain = {domain: lines(table, domain) for domain in domains}
    names = [
        name
        for name in (*table.metrics, *table.own_columns)
        if any(name in line.scores or name in line.published for group in lines_by_domain.values() for line in group)
    ]
    every = [line for group in lines_by_domain.values() for line in group]
    beside = [name for name in names if any(name in line.published for line in every)]
    alone = [name for name in table.published_only if any(name in line.published for line in every)]
    headings = [*(["Domain"] if len(domains) > 1 else []), "kbps"]
    for name in names:
        headings += [heading(name)] + [f"{title(name)}, published"] * (name in beside)
    headings += [f"{title(name)}, published" for name in alone] + list(_about(table))
    head = _heading("Row", "text") + "".join(
        _heading(words, "text" if words == "Domain" else "number") for words in headings
    )
    body = []
    for domain in domains:
        bold = best(table, lines_by_domain[domain])
        for i, line in enumerate(lines_by_domain[domain]):
            cells = [_score(line, name, (i, name) in bold) for name in names]
            paired = []
            for name, cell in zip(names, cells, strict=True):
                paired += [cell] + [_published(line, name)] * (name in beside)
            paired += [_published(line, name) for name in alone]
            body.append(_line(table, line, domain, len(domains) > 1, paired))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of results; scrolls sideways">'
        f'<table id="figures"><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _about(table: Table) -> dict[str, Callable[[Line], Item]]:
    """Columns about the row itself, where any row has them."""
    known: dict[str, Callable[[Line], Item]] = {}
    if any(row.parameters is not None for row in table.rows):
        known["Parameters"] = lambda line: Item(count(line.row.parameters), line.row.parameters)
    if any(row.wall_seconds is not None for row in table.rows):
        known["Training"] = lambda line: Item(duration(line.row.wall_seconds), line.row.wall_seconds)
    return known


def _heading(words: str, kind: str) -> str:
    return (
        f'<th scope="col" data-kind="{kind}" aria-sort="none"><button type="button">{escape(words)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _line(table: Table, line: Line, domain: str, with_domain: bool, items: list[Item]) -> str:
    position = next(i for i, row in enumerate(table.rows) if row is line.row)
    name = escape(line.row.name)
    key = f'<span class="key c{position % STYLES}" aria-hidden="true"></span>'
    cells = [f'<th scope="row" data-sort="{name}">{key}{name}</th>']
    if with_domain:
        label = escape(EVERY if domain == ALL else domain)
        cells.append(f'<td class="text" data-sort="{label}">{label}</td>')
    items = [
        Item(kbps(line), line.bitrate),
        *items,
        *(item(line) for item in _about(table).values()),
    ]
    cells += [_cell(item) for item in items]
    hidden = "" if domain == ALL else " hidden"
    return f'<tr data-domain="{escape(domain)}"{hidden}>{"".join(cells)}</tr>'


def _cell(item: Item) -> str:
    sort = "" if item.value is None or math.isnan(item.value) else f"{item.value:.10g}"
    text = escape(item.text).replace(" ± ", ' <span class="pm">± ') + ("</span>" if " ± " in item.text else "")
    return f'<td data-sort="{sort}">{f"<strong>{text}</strong>" if item.bold else text}</td>'


def _score(line: Line, name: str, bold: bool) -> Item:
    if line.row.error and not line.scores:
        return Item(line.row.trouble, None)
    if name not in line.scores or math.isnan(line.scores[name].mean):
        return Item(NOTHING, None)
    score = line.scores[name]
    interval = "" if math.isnan(score.ci95) else f" ± {score.ci95:{form(name)}}"
    return Item(f"{score.mean:{form(name)}}{interval}", score.mean, bold)


def _published(line: Line, name: str) -> Item:
    figure = line.published.get(name)
    return Item(published(figure, name), published_number(figure))
