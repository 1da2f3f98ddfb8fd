"""A bar with the time left on a terminal, one line at the start and one at the end elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from codeclab.codecs.wording import counted, duration


def bar_columns() -> list[ProgressColumn]:
    """Columns of every bar: the task, how much of it is done, the time spent and the time left."""
    return [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]


@contextmanager
def progress_bar(title: str, total: int | None, visible: bool, thing: str = "clip") -> Iterator[Callable[[], None]]:
    """Show progress on standard error while the block runs.

    Args:
        title: title of the work.
        total: number of steps; None where it is not known.
        visible: False shows nothing at all.
        thing: thing that a step is taken for, in the singular.

    Yields:
        a function to call after each step.
    """
    console = Console(stderr=True)
    if not visible:
        yield lambda: None
    elif console.is_terminal:
        with Progress(*bar_columns(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)
    else:
        start = time.monotonic()
        number = f"an unknown number of {thing}s" if total is None else counted(total, thing)
        print(f"{title}: {number}", file=sys.stderr, flush=True)
        yield lambda: None
        print(f"{title}: done in {duration(round(time.monotonic() - start))}", file=sys.stderr, flush=True)
