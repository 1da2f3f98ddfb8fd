"""Times of a task's runs: their median and spread, and a line of a table, beside those of another task."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

HEADER = "| work | median, s | lowest to highest, s | speed | x |\n|:---|---:|---:|---:|---:|"


@dataclass(frozen=True)
class Timed:
    """The times of a task.

    Attributes:
        name: name of the task.
        seconds: time of each run in seconds.
        amount: amount done in a run; divided by seconds it is a speed in ``unit``.
        unit: unit of the speed, such as "times real time".
        beside: time of each run of the task that it is compared with, in seconds; None without one.
    """

    name: str
    seconds: Sequence[float]
    amount: float
    unit: str
    beside: Sequence[float] | None = None

    @property
    def median(self) -> float:
        """Seconds, the median of all runs."""
        return median(self.seconds)

    @property
    def ratio(self) -> float | None:
        """Factor by which it is faster than the other task: the median of the ratios of adjacent runs."""
        if self.beside is None:
            return None
        return median(other / own for own, other in zip(self.seconds, self.beside, strict=True))

    def row(self) -> str:
        """A line of a Markdown table; ``HEADER`` goes above it."""
        span = f"{min(self.seconds):.4g} to {max(self.seconds):.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"| {self.name} | {self.median:.4g} | {span} | {self.amount / self.median:.4g} {self.unit} | {ratio} |"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, extremes and number of runs, at least one, by the names of the peers' harness."""
    low, _, high = quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": median(values), "min": min(values), "q25": low, "q75": high, "max": max(values), "n": len(values)}
