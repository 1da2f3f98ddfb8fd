"""Times each metric of a file as an evaluation computes it: several decoded versions of one original."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.scoring import Scorer
from codeclab.benchmarks.metrics.metric import Metric
from codeclab.benchmarks.metrics.registry import metrics_named
from codeclab.benchmarks.speed.machine import machine_rows, machine_tasks
from codeclab.benchmarks.speed.timed import Timed
from codeclab.codecs.timing import in_turns

VERSIONS = 4
"""Decoded versions of the original, as at four bitrates."""


def time_metrics(names: Sequence[str], original: Tensor, sample_rate: int, repeats: int = 3) -> list[Timed]:
    """Time metrics on one clip, against itself with more and more noise.

    Args:
        names: names of metrics that score files.
        original: samples ``[C, N]``.
        sample_rate: sample rate in Hz.
        repeats: number of runs that count.

    Returns:
        the lines; ``x`` compares with scoring each version by itself, so that nothing of the original is kept.

    Raises:
        ValueError: there is no such metric, or it scores no files.
        MetricMissingError: its package or weights are not here.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(original.shape, generator=generator)
    versions = [original + 0.01 * count * noise for count in range(1, VERSIONS + 1)]
    alone = [[version] for version in versions]
    tasks: dict[str, Callable[[], object]] = {}
    for metric in metrics_named(names):
        metric.load()
        tasks[metric.name] = partial(_score, metric, original, [versions], sample_rate)
        tasks[f"{metric.name}, alone"] = partial(_score, metric, original, alone, sample_rate)
    taken = in_turns({**tasks, **machine_tasks()}, repeats)
    seconds = VERSIONS * original.shape[-1] / sample_rate
    lines = [Timed(name, taken[name], seconds, "times real time", taken[f"{name}, alone"]) for name in names]
    return lines + machine_rows(taken)


def shares(timed: Sequence[Timed], names: Sequence[str]) -> str:
    """A sentence: what each of these takes of the time of all, largest first."""
    seconds = {line.name: line.median for line in timed if line.name in names}
    total = sum(seconds.values())
    ordered = sorted(seconds, key=lambda name: -seconds[name])
    parts = ", ".join(f"{name} {seconds[name] / total:.1%}" for name in ordered)
    return f"shares of {total:.3g} s for {VERSIONS} decoded versions of a clip: {parts}"


def _score(metric: Metric, original: Tensor, groups: Sequence[Sequence[Tensor]], sample_rate: int) -> None:
    """Score decoded versions; what belongs to the original is computed once for each group."""
    for versions in groups:
        with Scorer([metric], workers=0) as scorer:
            for version in versions:
                scorer.submit(original, version, sample_rate)
