"""The means of a listening test as a picture: a dot with its interval for each condition, a panel for each domain."""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.listening.design import SYSTEM
from codeclab.benchmarks.tables.plot import COLOURS, INK, PALE_INK, png, style_panel

BANDS = ("bad", "poor", "fair", "good", "excellent")
ACROSS = 3


def plot(title: str, means: DataFrame, domains: Sequence[str], footnote: str) -> bytes:
    """A PNG file of mean ratings, as ``analysis.means`` gives them, with a footnote under the picture."""
    conditions = list(dict.fromkeys(means["condition"]))
    across = min(ACROSS, len(domains))
    down = -(-len(domains) // across)
    figure = Figure(figsize=(2.4 + 3.4 * across, 0.9 + down * (0.9 + 0.34 * len(conditions))), layout="constrained")
    figure.suptitle(textwrap.fill(title, 27 * across), x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    for number, domain in enumerate(domains):
        panel = figure.add_subplot(down, across, number + 1)
        _panel(panel, means[means["domain"] == domain], "all clips" if domain == ALL else domain)
        labels = conditions if number % across == 0 else [""] * len(conditions)
        panel.set_yticks(range(len(conditions)), labels)
        panel.set_ylim(len(conditions) - 0.4, -0.6)
    figure.supxlabel(footnote, x=0.02, ha="left", fontsize=8, color=PALE_INK)
    return png(figure)


def _panel(panel: Axes, means: DataFrame, title: str) -> None:
    for row, line in enumerate(means.to_dict("records")):
        half = 0.0 if math.isnan(line["ci95"]) else line["ci95"]
        colour = COLOURS[0] if line["kind"] == SYSTEM else PALE_INK
        panel.errorbar(line["mean"], row, xerr=half, color=colour, marker="o", markersize=7, elinewidth=1.6)
    style_panel(panel, title, "both", pad=16)
    panel.set_xlim(-2, 102)
    panel.set_xticks(range(0, 101, 20))
    for band, name in enumerate(BANDS):
        panel.text(
            20 * band + 10, 1.02, name, transform=panel.get_xaxis_transform(), ha="center", fontsize=7.5, color=PALE_INK
        )
