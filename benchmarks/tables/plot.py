"""A table as a picture: quality against bitrate, or one dot a row where all rows have one bitrate."""

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from codeclab.benchmarks.evaluate.columns import SETTINGS, form, heading
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.grid import NOT_RANKED
from codeclab.benchmarks.tables.published import published_number
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Line, Score, Table, lines
from codeclab.codecs.bitrate import same_bitrate

logger = logging.getLogger(__name__)

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow (too pale on white)."""

MARKERS = "osD^vPX"
LETTERS_PER_INCH = 8
"""Letters of a title per inch, at its font size."""

INK, PALE_INK, FAINT = "#333333", "#666666", "#D9D9D9"
OURS: dict[str, Any] = {"linewidth": 1.8, "markersize": 6, "markeredgecolor": "white"}


class Chart(NamedTuple):
    """One panel: a metric or column over the clips of a domain, and every line that may have a figure of it."""

    name: str
    domain: str
    lines: Sequence[Line]

    @property
    def title(self) -> str:
        """The metric with its unit and, of a single domain, that."""
        return heading(self.name) if self.domain == ALL else f"{heading(self.name)}: {self.domain}"

    def ours(self, row: str) -> list[tuple[float, Score]]:
        """Our figures of a row that can be drawn: kbps and the score."""
        own = [(line.bitrate, line.scores.get(self.name)) for line in self.lines if line.row.name == row]
        return [(rate, score) for rate, score in own if rate is not None and score is not None and score.is_finite]

    def theirs(self, row: str) -> list[tuple[float | None, float]]:
        """The paper's figures of a row: kbps, or None without a bitrate, and the figure."""
        own = [line for line in self.lines if line.row.name == row]
        figures = [(line, published_number(line.published.get(self.name))) for line in own]
        return [(line.bitrate, figure) for line, figure in figures if figure is not None]


def plot(table: Table) -> bytes:
    """Draw one panel per metric and column, with 95 % interval bars, or what the table's ``figure`` asks for.

    Args:
        table: the table. Published figures are hollow, on a thin line. In a table that is none of a paper's figures
            they are drawn beside full-size rows alone: small codecs lie so far from them that they would stretch the
            axes. In one that is, they are what ours stand beside, also for rows and metrics of which nothing is
            measured, with a panel for each domain that they tell apart.

    Returns:
        a PNG file.
    """
    charts = _charts(table)
    plotted = [line for line in lines(table) if line.scores]
    with_codes = [row for row in table.rows if row.spec.entropies or len(row.each_codebook)]
    if table.figure == "codebook_usage" and with_codes:
        figure = _codebooks(table, with_codes)
    elif not charts:
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center", color=INK)
    elif plotted and len({line.row.name for line in plotted}) == len(plotted) and table.figure is None:
        figure = _dots(table, plotted, [chart.name for chart in charts])
    else:
        figure = _curves(table, charts)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; letters that matplotlib's own font lacks are of an installed one that has them."""
    _add_font(figure.findobj(Text))
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # one for each letter, said above in a line
        FigureCanvasAgg(figure).print_figure(target, format="png", dpi=160, facecolor="white")
    return target.getvalue()


def _add_font(texts: Sequence[Text]) -> None:
    """Give texts a second font for letters that matplotlib's own lacks, and name in a line those that it lacks, too."""
    used = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    lacking = used - _letters(findfont(FontProperties()))
    if not lacking:
        return
    # Matplotlib's "Last Resort" has a box for every letter.
    fonts = {font.name: font.fname for font in fontManager.ttflist if not font.name.startswith("Last Resort")}
    has = {name: lacking & _letters(path) for name, path in sorted(fonts.items())}
    best = max(has, key=lambda name: len(has[name]))
    for text in texts if has[best] else []:
        text.set_fontfamily([*text.get_fontfamily(), best])
    if boxes := "".join(sorted(lacking - has[best])):
        logger.warning(f"the plot shows boxes in place of {boxes}: no installed font has them (Noto Sans CJK has most)")


def _letters(font: str) -> set[str]:
    """The characters that a font file has glyphs for."""
    return set(map(chr, get_font(font).get_charmap()))


def style_panel(panel: Axes, title: str, grid: Literal["both", "x", "y"], pad: float | None = None) -> None:
    """Give a panel its title and a pale grid, and leave out the upper and the right line of its frame.

    Args:
        panel: axes of the panel.
        title: title of the panel, above it to the left.
        grid: the axes whose ticks have lines across.
        pad: points between the panel and its title; None is matplotlib's default.
    """
    panel.set_title(title, loc="left", fontsize=10, color=INK, pad=pad)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=9, length=0)
    panel.grid(axis=grid, color=FAINT, linewidth=0.7)
    panel.set_axisbelow(True)


def _charts(table: Table) -> list[Chart]:
    """The charts to draw: everything measured and, of a paper's figure, everything published."""
    columns = [name for name in table.own_columns if not table.metrics or name not in SETTINGS]
    names = [*table.metrics, *columns, *(table.published_only if table.figure else ())]
    stated = [figures for row in table.rows for figures in row.spec.stated if table.figure]
    lines_by_domain = {domain: lines(table, domain) for domain in (ALL, *(figures.domain for figures in stated))}
    rows = [row.name for row in table.rows]
    drawn = []
    for name in names:
        domains = dict.fromkeys((ALL, *(figures.domain for figures in stated if name in figures.published)))
        charts = [Chart(name, domain, lines_by_domain[domain]) for domain in domains]
        drawn += [chart for chart in charts if any(chart.ours(row) or _beside(table, chart, row) for row in rows)]
    return drawn


def _beside(table: Table, chart: Chart, row: str) -> list[tuple[float | None, float]]:
    """The published figures of a row that are drawn."""
    return chart.theirs(row) if table.beside_paper or table.figure is not None else []


def _panels(
    table: Table, titles: Sequence[str], width: float, height: float, grid: Literal["both", "x", "y"] = "y"
) -> tuple[Figure, list[Axes]]:
    columns = _across(len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(
        figsize=(width * columns, height * rows + 1.1), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    )
    title = textwrap.fill(table.title, int(LETTERS_PER_INCH * width * columns))
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for panel, title in zip(panels, titles, strict=True):
        style_panel(panel, title, grid)
    return figure, panels


def _across(panels: int) -> int:
    return 2 if panels == 4 else min(3, panels)


def _curves(table: Table, charts: Sequence[Chart]) -> Figure:
    rows = [row.name for row in table.rows]
    drawn = [row for row in rows if any(chart.ours(row) or _beside(table, chart, row) for chart in charts)]
    styles = {row: _style(i, len(drawn), table.figure == "dropout") for i, row in enumerate(drawn)}
    figure, panels = _panels(table, [chart.title for chart in charts], 4.2, 3.1)
    bitrates = set()
    measured = beside = False
    for panel, chart in zip(panels, charts, strict=True):
        for row, style in styles.items():
            ours, theirs = chart.ours(row), _beside(table, chart, row)
            if ours:
                rates, means = [rate for rate, _ in ours], [score.mean for _, score in ours]
                bars = [_bar(score) for _, score in ours]
                panel.errorbar(rates, means, yerr=bars, capsize=0, elinewidth=1.2, label=row, **OURS, **style)
            _hollow(panel, theirs, style | ({} if ours else {"label": row}))
            bitrates |= {bitrate for bitrate, _ in (*ours, *theirs) if bitrate is not None}
            measured, beside = measured or bool(ours), beside or bool(theirs)
        _as_printed(panel.yaxis, chart.name)
    for panel in panels:
        octave_axis(panel, sorted(bitrates), "kbps")
    captions = []
    if measured:
        captions.append(_footnote(table))
    if beside:
        captions.append("Hollow: published.")
    _legend(figure, panels, len(drawn), " ".join(captions))
    return figure


def _style(position: int, of: int, graded: bool) -> dict[str, Any]:
    """The style of a row: a colour of its own or, where rows differ by degrees, a shade of one scale."""
    if graded:
        shade = matplotlib.colormaps["viridis"](0.9 * position / max(of - 1, 1))
        return {"color": shade, "marker": MARKERS[position % len(MARKERS)], "linestyle": "-"}
    dashes = ("-", "--", ":")[position // len(COLOURS) % 3]
    return {"color": COLOURS[position % len(COLOURS)], "marker": MARKERS[position % len(MARKERS)], "linestyle": dashes}


def _hollow(panel: Axes, theirs: Sequence[tuple[float | None, float]], style: Mapping[str, Any]) -> None:
    """Draw published figures: hollow marks on a thin line, and a level across where there is no bitrate."""
    points = sorted((bitrate, figure) for bitrate, figure in theirs if bitrate is not None)
    if points:
        look = {"markerfacecolor": "white", "markeredgecolor": style["color"], "linewidth": 0.8, "markersize": 6}
        panel.plot([x for x, _ in points], [y for _, y in points], **{**style, **look})
    for level in (figure for bitrate, figure in theirs if bitrate is None):
        panel.axhline(level, color=style["color"], linewidth=0.8, linestyle="--", label=style.get("label"))


def _legend(figure: Figure, panels: Sequence[Axes], entries: int, footnote: str) -> None:
    """Each row once, wherever it is drawn."""
    pairs = [pair for panel in panels for pair in zip(*panel.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in reversed(pairs)}
    labels = list(dict.fromkeys(label for _, label in pairs))
    columns = min(4 if len(panels) > 1 else 2, entries)
    style = {"ncols": columns, "alignment": "left", "frameon": False, "fontsize": 9, "labelcolor": INK}
    legend = figure.legend([handles[label] for label in labels], labels, loc="outside lower left", **style)
    legend.set_title(footnote, prop=FontProperties(size=8))
    legend.get_title().set_color(PALE_INK)


def _codebooks(table: Table, rows: Sequence[RowResult]) -> Figure:
    """Entropy and use of each codebook at the highest bitrate (Improved RVQGAN, Figure 1)."""
    measured = [row for row in rows if len(row.each_codebook)]
    titles = ["Entropy of each codebook, bits ↑"]
    if measured:
        titles.append("Entries used ↑")
    figure, panels = _panels(table, titles, 4.6, 3.1)
    most = 0.0
    for i, row in enumerate(rows):
        look = _style(i, len(rows), False)
        codes = row.each_codebook
        if len(codes):
            most = max(most, math.log2(codes["size"].max()))
            numbers = [int(number) for number in codes["codebook"]]
            for panel, column in zip(panels, ("entropy_bits", "usage"), strict=True):
                panel.plot(numbers, codes[column].tolist(), label=row.name, **OURS, **look)
        theirs = [(float(codebook), bits) for codebook, bits in enumerate(row.spec.entropies, 1) if bits is not None]
        _hollow(panels[0], theirs, look | ({} if len(codes) else {"label": row.name}))
    if most:
        panels[0].axhline(most, color=PALE_INK, linewidth=0.8, linestyle=":")
        panels[1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
    for panel in panels:
        panel.set_ylim(bottom=0)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("codebook", fontsize=9, color=INK)
    captions = []
    if measured:
        captions.append("At each row's highest bitrate. Dotted: all entries equally often.")
    if any(row.spec.entropies for row in rows):
        captions.append("Hollow: published.")
    if measured and not table.ranked:
        captions.append(f"{NOT_RANKED.split(':')[0]}.")
    _legend(figure, panels, len(rows), " ".join(captions))
    return figure


def octave_axis(panel: Axes, values: Sequence[float], label: str) -> None:
    """Octaves are equally far apart; labels stand where something was measured, none upon another."""
    panel.set_xscale("log", base=2)
    labelled: list[float] = []
    for value in values:
        if not labelled or value / labelled[-1] > 1.2:
            labelled.append(value)
    panel.xaxis.set_major_locator(FixedLocator(labelled))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    panel.set_xlabel(label, fontsize=9, color=INK)


def _dots(table: Table, plotted: Sequence[Line], names: Sequence[str]) -> Figure:
    figure, panels = _panels(table, [heading(name) for name in names], 3.4, 0.34 * len(plotted) + 0.7, "both")
    heights = list(range(len(plotted)))[::-1]
    across = _across(len(names))
    one_rate = all(same_bitrate(line.bitrate, plotted[0].bitrate) for line in plotted)
    labels = [line.row.name if one_rate else f"{line.row.name} ({line.bitrate:.3g} kbps)" for line in plotted]
    for number, (panel, name) in enumerate(zip(panels, names, strict=True)):
        for height, line in zip(heights, plotted, strict=True):
            score = line.scores.get(name)
            if score is not None and score.is_finite:
                panel.errorbar(score.mean, height, xerr=_bar(score), color=COLOURS[0], marker="o", markersize=7)
        panel.set_yticks(heights, labels if number % across == 0 else [""] * len(plotted))
        panel.set_ylim(-0.6, len(plotted) - 0.4)
        _as_printed(panel.xaxis, name)
    rate = f"{plotted[0].bitrate:.4g} kbps. " if one_rate else ""
    figure.supxlabel(rate + (_footnote(table) if table.metrics else ""), x=0.02, ha="left", fontsize=8, color=PALE_INK)
    return figure


def _bar(score: Score) -> float:
    return score.ci95 if math.isfinite(score.ci95) else 0.0


def _as_printed(axis: Axis, name: str) -> None:
    axis.set_major_locator(MaxNLocator(6))
    if form(name).endswith("%"):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def _footnote(table: Table) -> str:
    return "Bars are 95 % intervals." + ("" if table.ranked else f" {NOT_RANKED.split(':')[0]}.")
