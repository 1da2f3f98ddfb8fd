"""A line of a table of times: a task, its speed, and how it compares with another task."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

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
        spread = f"{min(self.seconds):.4g} to {max(self.seconds):.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"| {self.name} | {self.median:.4g} | {spread} | {self.amount / self.median:.4g} {self.unit} | {ratio} |"
