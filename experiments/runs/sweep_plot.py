"""A sweep as a picture: the time of a training step and its peak memory over the values."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from codeclab.benchmarks.tables.plot import COLOURS, FAINT, INK, PALE_INK
from codeclab.experiments.runs.sweep import Point
from codeclab.experiments.runs.sweep_names import UNITS


def plot_sweep(name: str, points: Sequence[Point], title: str, form: str) -> bytes:
    """Draw two panels: ms a batch, its quartiles as bars, and peak memory.

    Args:
        name: what was swept.
        points: at least one.
        title: over both panels.
        form: svg or png.

    Returns:
        the file.
    """
    figure = Figure(figsize=(8.4, 3.6), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    values = [point.value for point in points]
    times, memory = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    middles = [1000 * point.median for point in points]
    bars = [
        [1000 * (point.median - point.q25) for point in points],
        [1000 * (point.q75 - point.median) for point in points],
    ]
    look: dict[str, Any] = {
        "color": COLOURS[0],
        "linewidth": 1.8,
        "marker": "o",
        "markersize": 6,
        "markeredgecolor": "white",
    }
    times.errorbar(values, middles, yerr=bars, capsize=0, elinewidth=1.2, **look)
    memory.plot(values, [point.peak_mb for point in points], **look | {"color": COLOURS[1], "marker": "s"})
    label = f"{name}, {UNITS[name]}" if UNITS[name] else name
    for panel, heading, highest in (
        (times, "Step time, ms", max(1000 * point.q75 for point in points)),
        (memory, "Peak memory, MB", max(point.peak_mb for point in points)),
    ):
        _style(panel, heading, label, values)
        panel.set_ylim(0, 1.08 * highest)  # the mark of the highest point whole
    caption = "Bars are quartiles. Each value has a process of its own."
    figure.supxlabel(caption, x=0.02, ha="left", fontsize=8, color=PALE_INK)
    target = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(target, format=form, dpi=160, facecolor="white")
    return target.getvalue()


def _style(panel: Axes, heading: str, label: str, values: Sequence[float]) -> None:
    """As the plots of tables: doublings of the value are equally far apart."""
    panel.set_title(heading, loc="left", fontsize=10, color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=9, length=0)
    panel.grid(axis="y", color=FAINT, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.yaxis.set_major_locator(MaxNLocator(6))
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_locator(FixedLocator(list(values)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    panel.set_xlabel(label, fontsize=9, color=INK)
