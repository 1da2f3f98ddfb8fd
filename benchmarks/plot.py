"""A table as a picture: quality against bitrate, or one dot a row where all rows have one bitrate."""

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from codeclab.benchmarks.grid import NOT_RANKED
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.table import Line, Table, lines, same_bitrate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow (too pale on white)."""

MARKERS = "osD^vPX"
INK, PALE_INK, FAINT = "#333333", "#666666", "#D9D9D9"


def plot(table: Table) -> bytes:
    """Draws one panel per metric that was measured, with 95 % interval bars.

    Args:
        table: The table. Published figures are not drawn: other data and training would stretch the axes.

    Returns:
        A PNG file.
    """
    shown = [line for line in lines(table) if line.scores]
    names = [n for n in table.metrics if any(n in line.scores and finite(line, n) for line in shown)]
    single = all(same_bitrate(line.bitrate, shown[0].bitrate) for line in shown)
    if not names:
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center", color=INK)
    elif single:
        figure = _dots(table, shown, names)
    else:
        figure = _curves(table, shown, names)
    target = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(target, format="png", dpi=160, facecolor="white")
    return target.getvalue()


def finite(line: Line, metric: str) -> bool:
    """Whether a line has a figure for the metric that can be drawn."""
    return math.isfinite(line.scores[metric].mean)


def _panels(table: Table, names: Sequence[str], width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    columns = min(columns, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(
        figsize=(width * columns, height * rows + 1.1), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    )
    figure.suptitle(table.title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(names))]
    for panel, name in zip(panels, names, strict=True):
        panel.set_title(METRICS[name].heading, loc="left", fontsize=10, color=INK)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
        panel.tick_params(colors=INK, labelsize=9, length=0)
    return figure, panels


def _curves(table: Table, shown: Sequence[Line], names: Sequence[str]) -> Figure:
    rows = list(dict.fromkeys(line.row.name for line in shown))
    figure, panels = _panels(table, names, 4.2, 3.1, 3)
    bitrates = sorted({line.bitrate for line in shown if line.bitrate is not None})
    for panel, name in zip(panels, names, strict=True):
        for i, row in enumerate(rows):
            drawn = [line for line in shown if line.row.name == row and name in line.scores and finite(line, name)]
            panel.errorbar(
                [line.bitrate for line in drawn if line.bitrate is not None],
                [line.scores[name].mean for line in drawn],
                yerr=[_bar(line, name) for line in drawn],
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                linestyle=("-", "--", ":")[i // len(COLOURS) % 3],
                linewidth=1.8,
                markersize=6,
                markeredgecolor="white",
                capsize=0,
                elinewidth=1.2,
                label=row,
            )
        panel.grid(axis="y", color=FAINT, linewidth=0.7)
        panel.set_axisbelow(True)
        _bitrate_axis(panel, bitrates)
        _as_printed(panel, name, "y")
    handles, labels = panels[0].get_legend_handles_labels()
    style = {"ncols": min(4, len(rows)), "alignment": "left", "frameon": False, "fontsize": 9, "labelcolor": INK}
    legend = figure.legend(handles, labels, loc="outside lower left", **style)
    legend.set_title(_footnote(table), prop=FontProperties(size=8))
    legend.get_title().set_color(PALE_INK)
    return figure


def _bitrate_axis(panel: Axes, bitrates: Sequence[float]) -> None:
    """Octaves of bitrate are equally far apart; labels stand where something was measured, none upon another."""
    panel.set_xscale("log", base=2)
    labelled: list[float] = []
    for bitrate in bitrates:
        if not labelled or bitrate / labelled[-1] > 1.25:
            labelled.append(bitrate)
    panel.xaxis.set_major_locator(FixedLocator(labelled))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    panel.set_xlabel("kbps", fontsize=9, color=INK)


def _dots(table: Table, shown: Sequence[Line], names: Sequence[str]) -> Figure:
    figure, panels = _panels(table, names, 3.4, 0.34 * len(shown) + 0.7, 3)
    places = list(range(len(shown)))[::-1]
    per_row = min(3, len(names))
    for number, (panel, name) in enumerate(zip(panels, names, strict=True)):
        for place, line in zip(places, shown, strict=True):
            if name in line.scores and finite(line, name):
                panel.errorbar(
                    line.scores[name].mean, place, xerr=_bar(line, name), color=COLOURS[0], marker="o", markersize=7
                )
        panel.set_yticks(places, [line.row.name for line in shown] if number % per_row == 0 else [""] * len(shown))
        panel.set_ylim(-0.6, len(shown) - 0.4)
        panel.grid(axis="both", color=FAINT, linewidth=0.7)
        panel.set_axisbelow(True)
        _as_printed(panel, name, "x")
    figure.supxlabel(f"{shown[0].bitrate:.4g} kbps. {_footnote(table)}", x=0.02, ha="left", fontsize=8, color=PALE_INK)
    return figure


def _bar(line: Line, metric: str) -> float:
    half_width = line.scores[metric].ci95
    return half_width if math.isfinite(half_width) else 0.0


def _as_printed(panel: Axes, name: str, axis: str) -> None:
    chosen = panel.yaxis if axis == "y" else panel.xaxis
    chosen.set_major_locator(MaxNLocator(6))
    if METRICS[name].form.endswith("%"):
        chosen.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def _footnote(table: Table) -> str:
    return "Bars are 95 % intervals." + ("" if table.ranked else f" {NOT_RANKED.split(':')[0]}.")
