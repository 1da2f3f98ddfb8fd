"""Line charts as inline SVG, coloured by the page's style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 38
STYLES = 7
"""Number of colours and marks in the style sheet."""

MARKS = (
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0Z",
    "M-3.3 -3.3H3.3V3.3H-3.3Z",
    "M0 -4.7L4.7 0L0 4.7L-4.7 0Z",
    "M0 -4.4L4.4 3.4H-4.4Z",
    "M0 4.4L4.4 -3.4H-4.4Z",
    "M-1.5 -4.2H1.5V-1.5H4.2V1.5H1.5V4.2H-1.5V1.5H-4.2V-1.5H-1.5Z",
    "M-4.6 -1.5L0 -4.8L4.6 -1.5L2.9 4H-2.9Z",
)


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: name of the row.
        position: the row's position in the table, which gives its colour and mark.
        points: triples ``(x, y, half width of the interval)`` in order; a half width that is not a number draws no bar.
        published: pairs ``(x, y)`` of a paper's figures, drawn hollow.
    """

    name: str
    position: int
    points: Sequence[tuple[float, float, float]]
    published: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Axis:
    """Positions of values along an axis, and their labels.

    Args:
        low: smallest value.
        high: largest value.
        start: position of the smallest value in pixels.
        end: position of the largest value in pixels.
        ticks: values with a label.
        logarithmic: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Pixels of a value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return self.start + (self.end - self.start) * (at - low) / ((high - low) or 1)


def chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    form: Callable[[float], str] = lambda value: f"{value:.3g}",
    rates: bool = False,
    marks: bool = True,
) -> str:
    """A figure element with a chart.

    Args:
        title: name of the quantity, with its unit.
        series: lines with at least one point between them.
        x_label: title of the horizontal axis.
        form: formats a value of the vertical axis.
        rates: whether x is a bitrate, whose octaves are equally far apart and labelled where something stands.
        marks: whether points are marked, or only their line is drawn.
    """
    xs = [point[0] for line in series for point in (*line.points, *line.published)]
    x_axis, y_axis = _x_axis(xs, rates), _y_axis(series, marks)
    frame = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_axis(tick):.1f}" y2="{y_axis(tick):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y_axis(tick) + 3.5:.1f}" text-anchor="end">{escape(form(tick))}</text>'
        for tick in y_axis.ticks
    ) + "".join(
        f'<text x="{x_axis(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:.3g}</text>'
        for tick in x_axis.ticks
    )
    drawn = "".join(_line(line, x_axis, y_axis, form, x_label, marks) for line in series)
    names = ", ".join(line.name for line in series)
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}, of {names}")}">'
        f'{frame}<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{escape(x_label)}</text>'
        f"{drawn}</svg></figure>"
    )


def _line(line: Series, x_axis: Axis, y_axis: Axis, form: Callable[[float], str], x_label: str, marks: bool) -> str:
    at = [(x_axis(x), y_axis(y)) for x, y, _ in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at) if len(at) > 1 else ""
    shape = MARKS[line.position % STYLES]
    parts = [f'<path class="line" d="{path}"/>'] if path else []
    for (x, y, half), (left, down) in zip(line.points, at, strict=True) if marks else ():
        interval = ""
        if math.isfinite(half) and half > 0:
            top, low = (y_axis(min(max(value, y_axis.low), y_axis.high)) for value in (y + half, y - half))
            parts.append(f'<path class="bar" d="M{left:.1f} {top:.1f}V{low:.1f}"/>')
            interval = f" ± {form(half)}"
        parts.append(_mark(shape, left, down, "mark", f"{line.name}: {form(y)}{interval} at {x:.4g} {x_label}"))
    parts += [
        _mark(shape, x_axis(x), y_axis(y), "mark published", f"{line.name}, published: {form(y)} at {x:.4g} {x_label}")
        for x, y in line.published
    ]
    style = f"c{line.position % STYLES} d{line.position // STYLES % 3}"
    return f'<g class="{style}" data-row="{line.position}">{"".join(parts)}</g>'


def _mark(shape: str, x: float, y: float, kind: str, label: str) -> str:
    return (
        f'<path class="{kind}" transform="translate({x:.1f} {y:.1f})" d="{shape}"><title>{escape(label)}</title></path>'
    )


def _x_axis(xs: Sequence[float], rates: bool) -> Axis:
    low, high = min(xs), max(xs)
    start, end = LEFT + 8.0, WIDTH - RIGHT - 8.0
    if not rates or low <= 0:
        ticks = [tick for tick in MaxNLocator(5, integer=True).tick_values(low, high) if low <= tick <= high]
        return Axis(low, high, start, end, ticks)
    if low == high:
        low, high = low / 2, high * 2
    axis = Axis(low, high, start, end, [], True)
    ticks = []
    for rate in sorted(set(xs)):
        if not ticks or axis(rate) - axis(ticks[-1]) > 38:
            ticks.append(rate)
    return Axis(low, high, start, end, ticks, True)


def _y_axis(series: Sequence[Series], marks: bool) -> Axis:
    means = [point[1] for line in series for point in (*line.points, *line.published)]
    low, high = min(means), max(means)
    start, end = HEIGHT - BOTTOM - 4.0, TOP + 4.0
    if not marks and low > 0 and high / low > 30:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 3) if len(decades) < 5 else (1,)
        ticks = [step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high]
        return Axis(low, high, start, end, ticks, True)
    # An interval may be far wider than all means lie apart (two files): it is cut off rather than flatten the curves.
    spread = max(high - low, abs(high) * 0.05, 1e-9)
    bars = [(y - half, y + half) for line in series for _, y, half in line.points if math.isfinite(half)]
    low = max(min([low, *(lower for lower, _ in bars)]), low - spread / 2)
    high = min(max([high, *(upper for _, upper in bars)]), high + spread / 2)
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return Axis(low, high, start, end, ticks)
