"""Times each metric of a file."""

from collections.abc import Sequence

import torch
from torch import Tensor

from codeclab.benchmarks.metrics.registry import metrics_named
from codeclab.benchmarks.speed.in_turns import Timed, in_turns, machine_rows, machine_works


def time_metrics(names: Sequence[str], original: Tensor, sample_rate: int, repeats: int = 3) -> list[Timed]:
    """Time metrics on one clip, against itself with noise.

    Args:
        names: of metrics that score files.
        original: ``[C, N]``.
        sample_rate: Hz.
        repeats: runs that count.

    Raises:
        ValueError: there is no such metric, or it scores no files.
        MetricMissingError: its package or weights are not here.
    """
    seconds = original.shape[-1] / sample_rate
    coded = original + 0.01 * torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    scores = {metric.name: metric.load() for metric in metrics_named(names)}
    works = {name: (lambda score=score: score(original, coded, sample_rate)) for name, score in scores.items()}
    taken = in_turns({**works, **machine_works()}, repeats)
    return [Timed(name, taken[name], seconds, "times real time") for name in works] + machine_rows(taken)
