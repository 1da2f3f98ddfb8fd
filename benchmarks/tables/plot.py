"""A table as a picture: quality against bitrate, or one dot a row where all rows have one bitrate."""

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from codeclab.benchmarks.evaluate.columns import form, heading
from codeclab.benchmarks.evaluate.evaluation import TOGETHER
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.grid import NOT_RANKED
from codeclab.benchmarks.tables.published import published_number
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Line, Table, lines
from codeclab.codecs.bitrate import same_bitrate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow (too pale on white)."""

MARKERS = "osD^vPX"
LETTERS_PER_INCH = 8
"""Of a title, at its size."""

INK, PALE_INK, FAINT = "#333333", "#666666", "#D9D9D9"


def plot(table: Table) -> bytes:
    """Draws one panel per metric that was measured, with 95 % interval bars, or what the table's ``figure`` asks for.

    Args:
        table: The table. Published figures are drawn beside curves of full-size rows alone: small codecs lie so far
            from them that they would stretch the axes.

    Returns:
        A PNG file.
    """
    plotted = [line for line in lines(table) if line.scores]
    names = [
        n for n in table.metrics or table.own_columns if any(n in line.scores and finite(line, n) for line in plotted)
    ]
    with_codes = [row for row in table.rows if row.codebooks is not None and len(row.codebooks)]
    if table.figure == "codebook_usage" and with_codes:
        figure = _codebooks(table, with_codes)
    elif not names:
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center", color=INK)
    elif len({line.row.name for line in plotted}) == len(plotted) and table.figure is None:
        figure = _dots(table, plotted, names)
    else:
        figure = _curves(table, plotted, names)
    target = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(target, format="png", dpi=160, facecolor="white")
    return target.getvalue()


def finite(line: Line, metric: str) -> bool:
    """Whether a line has a figure for the metric or column that can be drawn."""
    return math.isfinite(line.scores[metric].mean)


def _panels(table: Table, titles: Sequence[str], width: float, height: float) -> tuple[Figure, list[Axes]]:
    columns = _across(len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(
        figsize=(width * columns, height * rows + 1.1), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    )
    title = textwrap.fill(table.title, int(LETTERS_PER_INCH * width * columns))
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, loc="left", fontsize=10, color=INK)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(colors=INK, labelsize=9, length=0)
    return figure, panels


def _across(panels: int) -> int:
    return 2 if panels == 4 else min(3, panels)


def _curves(table: Table, plotted: Sequence[Line], names: Sequence[str]) -> Figure:
    rows = list(dict.fromkeys(line.row.name for line in plotted))
    styles = {row: _style(i, len(rows), table.figure == "dropout") for i, row in enumerate(rows)}
    figure, panels = _panels(table, [heading(name) for name in names], 4.2, 3.1)
    theirs = [line for line in lines(table) if line.published and line.row.name in rows] if table.beside_paper else []
    bitrates = sorted({line.bitrate for line in [*plotted, *theirs] if line.bitrate is not None})
    beside = False
    for panel, name in zip(panels, names, strict=True):
        for row, style in styles.items():
            drawn = [line for line in plotted if line.row.name == row and name in line.scores and finite(line, name)]
            panel.errorbar(
                [line.bitrate for line in drawn if line.bitrate is not None],
                [line.scores[name].mean for line in drawn],
                yerr=[_bar(line, name) for line in drawn],
                linewidth=1.8,
                markersize=6,
                markeredgecolor="white",
                capsize=0,
                elinewidth=1.2,
                label=row,
                **style,
            )
            beside |= _hollow(panel, [line for line in theirs if line.row.name == row], name, style)
        panel.grid(axis="y", color=FAINT, linewidth=0.7)
        panel.set_axisbelow(True)
        _bitrate_axis(panel, bitrates)
        _as_printed(panel, name, "y")
    _legend(figure, panels[0], len(rows), _footnote(table) + (" Hollow: published." if beside else ""))
    return figure


def _style(place: int, of: int, graded: bool) -> dict[str, Any]:
    """How a row is drawn: in colours that tell apart, or, where rows differ by degrees, in shades of one scale."""
    if graded:
        shade = matplotlib.colormaps["viridis"](0.9 * place / max(of - 1, 1))
        return {"color": shade, "marker": MARKERS[place % len(MARKERS)], "linestyle": "-"}
    dashes = ("-", "--", ":")[place // len(COLOURS) % 3]
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "linestyle": dashes}


def _hollow(panel: Axes, theirs: Sequence[Line], name: str, style: dict[str, Any]) -> bool:
    """Draws published figures that are numbers; whether there were any."""
    numbers = [(line.bitrate, published_number(line.published.get(name))) for line in theirs]
    points = [(x, y) for x, y in numbers if x is not None and y is not None]
    look = {"markerfacecolor": "white", "markeredgecolor": style["color"], "marker": style["marker"]}
    panel.plot([x for x, _ in points], [y for _, y in points], linestyle="none", markersize=6, **look)
    return bool(points)


def _legend(figure: Figure, panel: Axes, entries: int, footnote: str) -> None:
    handles, labels = panel.get_legend_handles_labels()
    style = {"ncols": min(4, entries), "alignment": "left", "frameon": False, "fontsize": 9, "labelcolor": INK}
    legend = figure.legend(handles, labels, loc="outside lower left", **style)
    legend.set_title(footnote, prop=FontProperties(size=8))
    legend.get_title().set_color(PALE_INK)


def _codebooks(table: Table, rows: Sequence[RowResult]) -> Figure:
    """Entropy and use of each codebook at the highest bitrate (Improved RVQGAN, Figure 1)."""
    figure, panels = _panels(table, ["Entropy of each codebook, bits ↑", "Entries used ↑"], 4.6, 3.1)
    most = 0.0
    for i, row in enumerate(rows):
        codes = row.codebooks
        assert codes is not None
        codes = codes[(codes["domain"] == ALL) & (codes["codebook"] != TOGETHER)]
        codes = codes[codes["bitrate_kbps"] == codes["bitrate_kbps"].max()]
        most = max(most, math.log2(codes["size"].max()))
        numbers = [int(number) for number in codes["codebook"]]
        look = _style(i, len(rows), False) | {"markeredgecolor": "white", "label": row.name}
        for panel, column in zip(panels, ("entropy_bits", "usage"), strict=True):
            panel.plot(numbers, codes[column].tolist(), linewidth=1.8, markersize=6, **look)
        if row.spec.entropies:
            theirs = {place: bits for place, bits in enumerate(row.spec.entropies, 1) if bits is not None}
            beside = {"linestyle": "none", "markerfacecolor": "white", "markeredgecolor": look["color"]}
            panels[0].plot(list(theirs), list(theirs.values()), marker=look["marker"], markersize=6, **beside)
    panels[0].axhline(most, color=PALE_INK, linewidth=0.8, linestyle=":")
    panels[1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
    for panel in panels:
        panel.set_ylim(bottom=0)
        panel.grid(axis="y", color=FAINT, linewidth=0.7)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("codebook", fontsize=9, color=INK)
    unranked = "" if table.ranked else f" {NOT_RANKED.split(':')[0]}."
    hollow = " Hollow: published." if any(row.spec.entropies for row in rows) else ""
    footnote = f"At each row's highest bitrate. Dotted: all entries equally often.{hollow}{unranked}"
    _legend(figure, panels[0], len(rows), footnote)
    return figure


def _bitrate_axis(panel: Axes, bitrates: Sequence[float]) -> None:
    """Octaves of bitrate are equally far apart; labels stand where something was measured, none upon another."""
    panel.set_xscale("log", base=2)
    labelled: list[float] = []
    for bitrate in bitrates:
        if not labelled or bitrate / labelled[-1] > 1.2:
            labelled.append(bitrate)
    panel.xaxis.set_major_locator(FixedLocator(labelled))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    panel.set_xlabel("kbps", fontsize=9, color=INK)


def _dots(table: Table, plotted: Sequence[Line], names: Sequence[str]) -> Figure:
    figure, panels = _panels(table, [heading(name) for name in names], 3.4, 0.34 * len(plotted) + 0.7)
    places = list(range(len(plotted)))[::-1]
    across = _across(len(names))
    one_rate = all(same_bitrate(line.bitrate, plotted[0].bitrate) for line in plotted)
    labels = [line.row.name if one_rate else f"{line.row.name} ({line.bitrate:.3g} kbps)" for line in plotted]
    for number, (panel, name) in enumerate(zip(panels, names, strict=True)):
        for place, line in zip(places, plotted, strict=True):
            if name in line.scores and finite(line, name):
                panel.errorbar(
                    line.scores[name].mean, place, xerr=_bar(line, name), color=COLOURS[0], marker="o", markersize=7
                )
        panel.set_yticks(places, labels if number % across == 0 else [""] * len(plotted))
        panel.set_ylim(-0.6, len(plotted) - 0.4)
        panel.grid(axis="both", color=FAINT, linewidth=0.7)
        panel.set_axisbelow(True)
        _as_printed(panel, name, "x")
    rate = f"{plotted[0].bitrate:.4g} kbps. " if one_rate else ""
    figure.supxlabel(rate + (_footnote(table) if table.metrics else ""), x=0.02, ha="left", fontsize=8, color=PALE_INK)
    return figure


def _bar(line: Line, metric: str) -> float:
    half_width = line.scores[metric].ci95
    return half_width if math.isfinite(half_width) else 0.0


def _as_printed(panel: Axes, name: str, axis: str) -> None:
    chosen = panel.yaxis if axis == "y" else panel.xaxis
    chosen.set_major_locator(MaxNLocator(6))
    if form(name).endswith("%"):
        chosen.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def _footnote(table: Table) -> str:
    return "Bars are 95 % intervals." + ("" if table.ranked else f" {NOT_RANKED.split(':')[0]}.")
