"""Times tasks in turns, so that a machine that slows down slows all of them."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from codeclab.codecs.timing import seconds_of
from codeclab.quantizers.matrix_product import linear

HEADER = "| work | median, s | lowest to highest, s | speed | x |\n|:---|---:|---:|---:|---:|"
SIDE = 1024
"""Size of the square matrices whose product is timed."""

COPIED = 64 << 20
"""Bytes of the copy that is timed."""


@dataclass(frozen=True)
class Timed:
    """The times of a task.

    Attributes:
        name: of the work.
        seconds: of each run.
        amount: of what is done in a run, in ``unit``.
        unit: of the speed, such as "times real time".
        beside: seconds of the task that it is compared with; None without one.
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
        """How many times faster it is than the other task: the median of the ratios of adjacent runs."""
        if self.beside is None:
            return None
        return median(other / own for own, other in zip(self.seconds, self.beside, strict=True))

    def row(self) -> str:
        """A line of a Markdown table; ``HEADER`` goes above it."""
        spread = f"{min(self.seconds):.4g} to {max(self.seconds):.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"| {self.name} | {self.median:.4g} | {spread} | {self.amount / self.median:.4g} {self.unit} | {ratio} |"


def clocked_in_turns(clocked: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Seconds that each work says it took, run after run, all works once in each turn; a first turn is not counted.

    Args:
        clocked: works by name, each of which gives its seconds.
        repeats: turns that count.
    """
    taken: dict[str, list[float]] = {name: [] for name in clocked}
    for turn in range(repeats + 1):
        for name, work in clocked.items():
            seconds = work()
            if turn:
                taken[name].append(seconds)
    return taken


def in_turns(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each task, run by run. A turn runs every task once; the first turn is not counted.

    Args:
        works: by name.
        repeats: turns that count.
    """
    return clocked_in_turns({name: partial(seconds_of, work) for name, work in works.items()}, repeats)


def machine_works() -> dict[str, Callable[[], object]]:
    """The limits of this processor: a matrix product in float32 and in bfloat16, and a copy."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, SIDE, SIDE, generator=generator)
    rough = left.bfloat16(), right.bfloat16()
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    return {
        "matrix product, float32": lambda: linear(left, right),
        "matrix product, bfloat16": lambda: rough[0] @ rough[1],
        "copy of 64 MiB": lambda: target.copy_(source),
    }


def machine_rows(taken: Mapping[str, Sequence[float]]) -> list[Timed]:
    """The lines of ``machine_works``, from what ``in_turns`` took for them."""
    flops = 2 * SIDE**3 / 1e9
    amounts = {"copy of 64 MiB": (2 * COPIED / 1e9, "GB/s")}
    return [
        Timed(name, taken[name], *amounts.get(name, (flops, "GFLOP/s"))) for name in machine_works() if name in taken
    ]


def describe_machine() -> str:
    """A sentence: the processor, its threads in use, and torch's version."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # another system than Linux
    return f"{name}, torch {torch.__version__}, threads: {torch.get_num_threads()}"
