"""How fast batches of audio are read."""

import time
from collections.abc import Sequence

from codeclab.benchmarks.speed.in_turns import Timed
from codeclab.experiments.runs.build import build


def time_loader(flags: Sequence[str], workers: Sequence[int], batches: int, warm_up: int = 3) -> list[Timed]:
    """Time a run's loader with different numbers of worker processes.

    Args:
        flags: of ``codeclab fit``.
        workers: numbers of processes; 0 reads in this one.
        batches: that count.
        warm_up: batches before these.
    """
    lines = []
    for number in workers:
        data = build("fit", [*flags, "--data.workers", str(number), "--dry-run"]).datamodule
        data.n_batches = warm_up + batches
        taken: list[float] = []
        began = time.perf_counter()
        for _ in data.train_dataloader():
            now = time.perf_counter()
            taken.append(now - began)
            began = now
        audio = data.batch_size * data.seconds
        lines.append(Timed(f"a batch, {number} workers", taken[warm_up:], audio, "times real time"))
    return lines
