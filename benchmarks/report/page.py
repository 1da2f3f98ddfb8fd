"""The report as one HTML file that needs no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from pandas import DataFrame

from codeclab import __version__
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.report.chart import MARKS, STYLES
from codeclab.benchmarks.report.curves import codebooks, rate_quality, training
from codeclab.benchmarks.report.listing import EVERY, table_html
from codeclab.benchmarks.report.player import PlayedClip, players
from codeclab.benchmarks.report.sound import KBPS
from codeclab.benchmarks.report.template import fill, resource
from codeclab.benchmarks.tables.table import Table

HERE = "codeclab.benchmarks.report"
KEYS = (
    "Keys in a player: <kbd>Space</kbd> plays and pauses, <kbd>0</kbd> is the original, <kbd>1</kbd>–<kbd>9</kbd> the "
    "codecs, <kbd>↑</kbd> <kbd>↓</kbd> the codec before and after, <kbd>←</kbd> <kbd>→</kbd> its bitrate. All versions "
    "run at once, so that a switch changes nothing but the codec. Click into the spectrogram to go to an instant."
)


@dataclass(frozen=True)
class Report:
    """Everything on a report page.

    Args:
        table: the comparison; codebooks are taken from its rows.
        notes: lines under the table.
        histories: log of each row's run, by row: a column ``step`` and one per quantity (NaN where it was not logged).
        clips: clips to listen to.
        messages: notes on clips that are missing.
    """

    table: Table
    notes: Sequence[str] = ()
    histories: Mapping[str, DataFrame] = field(default_factory=dict)
    clips: Sequence[PlayedClip] = ()
    messages: Sequence[str] = ()


def render(report: Report) -> str:
    """The page; empty parts of the report are left out."""
    table = report.table
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    under = f'<ul class="notes">{items}</ul>' if items else ""
    left_out = "".join(f'<p class="note">{escape(message)}</p>' for message in report.messages)
    rows = [row.name for row in table.rows]
    listen = f"<p>{KEYS}</p>{left_out}{players(report.clips, rows)}" if report.clips else left_out
    curves = rate_quality(table)
    sections = {
        ("results", "Results"): _controls(table) + table_html(table) + under,
        ("curves", "Quality over bitrate"): curves and _domain_choice(table, "curves") + curves + _reading(table),
        ("listen", "Listen"): listen,
        ("training", "Training"): training(table, report.histories),
        ("codebooks", "Codebooks"): codebooks(table, report.histories),
    }
    filled_sections = {names: content for names, content in sections.items() if content}
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in filled_sections)
    legend = _legend(rows) if any(name in ("curves", "training", "codebooks") for name, _ in filled_sections) else ""
    main = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{content}</section>'
        for (name, title), content in filled_sections.items()
    )
    footer = f"Made by codeclab {__version__}. Audio on this page is Opus at {KBPS} kbps a channel."
    parts = {
        "title": escape(table.title),
        "style": resource(HERE, "page.css"),
        "script": "\n".join(resource(HERE, name) for name in ("table.js", "switch.js", "player.js")),
        "links": links,
        "legend": legend,
        "main": main,
        "foot": escape(footer if report.clips else footer.split(" Audio")[0]),
    }
    return fill(resource(HERE, "page.html"), parts)


def _controls(table: Table) -> str:
    domains = _domain_choice(table, "table")
    return (
        '<div class="controls"><label>Filter rows <input id="filter" type="search" placeholder="name, as in DAC" '
        f'autocomplete="off" spellcheck="false"></label>{domains}<span id="count" role="status"></span></div>'
    )


def _domain_choice(table: Table, of: str) -> str:
    if len(table.domains) < 2:
        return ""
    chosen: Sequence[tuple[str, str]] = [(ALL, EVERY), *((domain, domain) for domain in table.domains)]
    if of == "table":
        chosen = [*chosen, ("*", "each and all")]
    options = "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in chosen)
    return f'<label>Domain <select class="domain" data-shows="{of}">{options}</select></label>'


def _reading(table: Table) -> str:
    bars = "Bars are 95 % intervals, cut off where they would flatten the curves; "
    hollow = "hollow marks are published figures. " if any(row.spec.stated for row in table.rows) else ""
    return f'<p class="small">{bars}{hollow}the table holds every figure.</p>'


def _legend(rows: Sequence[str]) -> str:
    buttons = "".join(
        f'<button type="button" class="c{i % STYLES}" data-toggles="{i}" aria-pressed="true">'
        f'<svg viewBox="-6 -6 12 12" aria-hidden="true"><path class="mark" d="{MARKS[i % STYLES]}"/></svg>'
        f"{escape(row)}</button>"
        for i, row in enumerate(rows)
    )
    return f'<div class="legend" role="group" aria-label="Rows shown in charts">{buttons}</div>'
