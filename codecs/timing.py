"""Seconds of tasks, by the clock, on a stated number of threads."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def in_threads(threads: int) -> Iterator[None]:
    """Make torch compute in this number of threads of the CPU inside the block; papers time codecs on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds_of(task: Callable[[], object]) -> float:
    """Seconds of one run of a task, started now."""
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def median_seconds(task: Callable[[], object], repeats: int) -> float:
    """Median of the seconds of some runs of a task, after one that is not counted."""
    return median(in_turns({"task": task}, repeats)["task"])


def in_turns(
    tasks: Mapping[str, Callable[[], T]], repeats: int, seconds: Callable[[Callable[[], T]], float] = seconds_of
) -> dict[str, list[float]]:
    """Seconds of each task, run by run. A turn runs every task once, so that a machine that slows down slows all.

    The first turn is not counted: caches fill and kernels are chosen in it.

    Args:
        tasks: tasks by name.
        repeats: number of turns that count.
        seconds: function that runs a task and gives its seconds; ``operator.call`` for tasks that return them.
    """
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            spent = seconds(task)
            if turn:
                taken[name].append(spent)
    return taken
