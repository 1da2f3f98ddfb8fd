"""A sweep as a picture: the time of a training step and its peak memory over the values."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from codeclab.benchmarks.tables.plot import COLOURS, INK, PALE_INK, octave_axis, style_panel
from codeclab.experiments.runs.speed.sweep import Point
from codeclab.experiments.runs.speed.sweep_names import UNITS


def plot_sweep(name: str, points: Sequence[Point], title: str, form: str) -> bytes:
    """Draw two panels: ms a batch, its quartiles as bars, and peak memory.

    Args:
        name: name of what was swept.
        points: points of the sweep, at least one.
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
    look: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 6, "markeredgecolor": "white"}
    times.errorbar(values, middles, yerr=bars, capsize=0, elinewidth=1.2, color=COLOURS[0], **look)
    memory.plot(values, [point.peak_mb for point in points], **look | {"color": COLOURS[1], "marker": "s"})
    label = f"{name}, {UNITS[name]}" if UNITS[name] else name
    for panel, heading, highest in (
        (times, "Step time, ms", max(1000 * point.q75 for point in points)),
        (memory, "Peak memory, MB", max(point.peak_mb for point in points)),
    ):
        style_panel(panel, heading, "y")
        panel.yaxis.set_major_locator(MaxNLocator(6))
        octave_axis(panel, values, label)
        panel.set_ylim(0, 1.08 * highest)  # the mark of the highest point whole
    caption = "Bars are quartiles. Each value has a process of its own."
    figure.supxlabel(caption, x=0.02, ha="left", fontsize=8, color=PALE_INK)
    target = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(target, format=form, dpi=160, facecolor="white")
    return target.getvalue()
