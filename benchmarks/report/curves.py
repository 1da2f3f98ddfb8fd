"""The report's charts: quality over the bitrate, what training logged, and how codebooks are used."""

import base64
import math
from collections.abc import Callable, Mapping
from html import escape

import numpy as np
from pandas import DataFrame

from codeclab.benchmarks.evaluate.columns import form, heading
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.report.chart import Series, chart
from codeclab.benchmarks.report.sound import picture
from codeclab.benchmarks.tables.plot import Chart
from codeclab.benchmarks.tables.table import Table, lines
from codeclab.codecs.wording import counted

POINTS = 240
"""Most points of a logged quantity that are drawn: more than a chart has pixels."""

LOGGED = {"valid/": "Validation", "train/": "Losses, gradients and rates"}
"""Prefixes of what runs log that is drawn as curves, with their headings; the codebooks are drawn as maps."""


def printed(name: str) -> Callable[[float], str]:
    """The format of a metric's or column's values beside a chart."""
    if form(name).endswith("%"):
        return lambda value: f"{100 * value:.3g} %"
    return lambda value: f"{value:.3g}"


def rate_quality(table: Table) -> str:
    """Charts of each metric over the bitrate, for all clips and each domain; published figures hollow."""
    domains = [ALL, *table.domains] if len(table.domains) > 1 else [ALL]
    panels = []
    for domain in domains:
        charts = "".join(_quality(table, domain, name) for name in (*table.metrics, *table.own_columns))
        if charts:
            hidden = "" if domain == ALL else " hidden"
            panels.append(f'<div class="charts" data-of="curves" data-value="{escape(domain)}"{hidden}>{charts}</div>')
    return "".join(panels)


def _quality(table: Table, domain: str, name: str) -> str:
    series = []
    panel = Chart(name, domain, lines(table, domain))
    for position, row in enumerate(table.rows):
        points = [(bitrate, score.mean, score.ci95) for bitrate, score in panel.ours(row.name)]
        # Small codecs lie so far from the paper's that these would flatten the curves of what is no figure there.
        beside = table.beside_paper or table.figure is not None or not points
        theirs = [(bitrate, figure) for bitrate, figure in panel.theirs(row.name) if bitrate is not None and beside]
        if points or theirs:
            series.append(Series(row.name, position, points, theirs))
    drawn = any(line.points for line in series)
    return chart(heading(name), series, "kbps", printed(name), rates=True) if drawn else ""


def training(table: Table, histories: Mapping[str, DataFrame]) -> str:
    """Charts of what the runs logged, by batch, a group for each prefix; losses that only one run has, too."""
    names = dict.fromkeys(column for history in histories.values() for column in history.columns)
    groups = []
    for prefix, title in LOGGED.items():
        drawn = "".join(_logged(table, histories, name) for name in names if name.startswith(prefix))
        if drawn:
            groups.append(f'<details open><summary>{title}</summary><div class="charts">{drawn}</div></details>')
    return "".join(groups)


def _logged(table: Table, histories: Mapping[str, DataFrame], name: str) -> str:
    series = []
    for position, row in enumerate(table.rows):
        history = histories.get(row.name)
        if history is None or name not in history.columns:
            continue
        logged = history[["step", name]].dropna()
        logged = _thinned(logged[np.isfinite(logged[name])])
        if points := [(float(step), float(value), math.nan) for step, value in logged.itertuples(index=False)]:
            series.append(Series(row.name, position, points))
    return chart(name, series, "batch", marks=False) if any(len(line.points) > 1 for line in series) else ""


def _thinned(logged: DataFrame) -> DataFrame:
    return logged.iloc[:: max(1, -(-len(logged) // POINTS))]


def codebooks(table: Table, histories: Mapping[str, DataFrame]) -> str:
    """Entropy and use of each codebook at the highest bitrate, and a map of each codebook's over the batches."""
    measured = _of_codebooks(table, "entropy_bits", "Entropy of each codebook on the test clips, bits ↑", printed(""))
    measured += _of_codebooks(table, "usage", "Entries used on the test clips ↑", printed("codebook_usage"))
    maps = "".join(_maps(row.name, histories[row.name]) for row in table.rows if row.name in histories)
    page = f'<div class="charts">{measured}</div>' if measured else ""
    if maps:
        page += (
            "<details open><summary>While training</summary>"
            "<p>A line for each codebook, the first at the top; batches from left to right. Dark is 0.</p>"
            f'<div class="charts maps">{maps}</div></details>'
        )
    return page


def _of_codebooks(table: Table, column: str, title: str, form: Callable[[float], str]) -> str:
    series = []
    for position, row in enumerate(table.rows):
        codes = row.each_codebook
        values = zip(codes["codebook"], codes[column], strict=True)
        if points := [(float(k), float(value), math.nan) for k, value in values]:
            series.append(Series(row.name, position, points))
    return chart(title, series, "codebook", form) if series else ""


def _maps(row: str, history: DataFrame) -> str:
    drawn = []
    for kind, label in (("usage", "entries used"), ("entropy", "entropy, bits")):
        names = sorted(column for column in history.columns if column.startswith(f"codebooks/{kind}_"))
        logged = history[["step", *names]].dropna()
        if not names or len(logged) < 2:
            continue
        logged = _thinned(logged)
        # The entropy of one entry alone is a negative zero.
        values = logged[names].to_numpy(dtype=np.float64).T + 0.0
        top = 1.0 if kind == "usage" else max(float(values.max()), 1e-9)
        form = printed("codebook_usage" if kind == "usage" else "")
        ends = f"last {form(float(values[:, -1].min()))} to {form(float(values[:, -1].max()))}"
        span = f"batches {logged['step'].iloc[0]} to {logged['step'].iloc[-1]}"
        about = f"{row}: {label} of {counted(len(names), 'codebook')}, {span}, {ends}"
        uri = data_uri("image/png", picture(values / top, "viridis"))
        drawn.append(
            f'<figure class="map"><figcaption>{escape(row)}: {label}<small>brightest {form(top)}; {ends}</small>'
            f'</figcaption><img src="{uri}" alt="{escape(about)}"></figure>'
        )
    return "".join(drawn)


def data_uri(kind: str, content: bytes) -> str:
    """A file inside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
