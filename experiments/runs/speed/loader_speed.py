"""How fast batches of audio are read."""

import operator
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from codeclab.benchmarks.speed.machine import machine_rows, machine_tasks
from codeclab.benchmarks.speed.timed import Timed
from codeclab.codecs.timing import in_turns, seconds_of
from codeclab.codecs.wording import counted
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.build import build

WARM_UP, ROUNDS, AHEAD = 2, 4, 2
"""Batches of each process that reads: before those that count, those, and those after, which the loader asks ahead."""


def time_loader(flags: Sequence[str], workers: Sequence[int], repeats: int) -> list[Timed]:
    """Time a run's loader with different numbers of worker processes, in turns.

    All that is read is read once before: who comes first would else wait alone for the disk, or for made-up audio.

    Args:
        flags: flags of ``codeclab fit``.
        workers: numbers of processes; 0 reads in this one.
        repeats: number of turns that count.

    Returns:
        a line for each number, then those of the machine.
    """
    data = build("fit", [*flags, "--dry-run"]).datamodule
    for _ in islice(data.batches(0), batches_of(max(workers))):
        pass
    names = {f"a batch, {counted(number, 'worker')}": number for number in workers}
    readings = {name: partial(seconds_a_batch, data, number) for name, number in names.items()}
    machine = {name: partial(_seconds_again, task) for name, task in machine_tasks().items()}
    taken = in_turns({**readings, **machine}, repeats, operator.call)
    audio = data.batch_size * data.seconds
    return [Timed(name, taken[name], audio, "times real time") for name in names] + machine_rows(taken)


def _seconds_again(task: Callable[[], object]) -> float:
    """Seconds of a second run: the first one, after a fork, copies each page that it writes."""
    task()
    return seconds_of(task)


def batches_of(workers: int) -> int:
    """How many batches a run of so many worker processes reads; none is one process, too."""
    return (WARM_UP + ROUNDS + AHEAD) * max(workers, 1)


def seconds_a_batch(data: AudioData, workers: int) -> float:
    """Seconds between two batches while all processes read.

    It is the mean over whole rounds of the processes, whose batches may come together; neither their start counts nor
    the end, when fewer and fewer of them read.
    """
    data.workers, data.n_batches = workers, batches_of(workers)
    round_of_all = max(workers, 1)
    came = [time.perf_counter() for _ in data.train_dataloader()]
    first, last = WARM_UP * round_of_all, (WARM_UP + ROUNDS) * round_of_all
    return (came[last - 1] - came[first - 1]) / (last - first)
