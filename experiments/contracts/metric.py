"""What every metric of a file promises."""

import math

import torch
from torch import Tensor

from codeclab.benchmarks.metrics.metric import Metric
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.experiments.contracts.base import noise

RATE = 16000


def speech_like(seconds: float = 3.0) -> Tensor:
    """A voice-like sound ``[1, N]`` at 16 kHz: harmonics of a moving pitch under an envelope of syllables."""
    time = torch.arange(round(seconds * RATE)) / RATE
    phase = 2 * math.pi * torch.cumsum(120 + 30 * torch.sin(2 * math.pi * 1.5 * time), 0) / RATE
    voice = sum(torch.sin(k * phase) / k for k in range(1, 20))
    envelope = (0.5 + 0.5 * torch.sin(2 * math.pi * 3 * time)).square()
    return (0.08 * envelope * voice)[None] + 1e-4 * noise(1, len(time), level=1.0)


def metric_names() -> list[str]:
    """Names of the metrics that score files and can be had here: the suite's, and those of files imported."""
    return [name for name, metric in METRICS.items() if metric.per_file and not metric.lacks()]


class MetricContract:
    """A score of an estimate against its original.

    Attributes:
        name: name of the metric in ``METRICS``.
    """

    name: str

    @property
    def metric(self) -> Metric:
        """The entry."""
        return METRICS[self.name]

    def test_more_noise_is_no_better(self) -> None:
        """The direction that the entry states is the score's."""
        score, original = self.metric.load(), speech_like()
        hiss = noise(*original.shape, seed=7, level=1.0)
        clear, noisy = (float(score(original, original + level * hiss, RATE)) for level in (0.002, 0.05))
        assert math.isfinite(clear)
        assert math.isfinite(noisy)
        assert clear != noisy
        assert (clear > noisy) == self.metric.higher_is_better

    def test_it_gives_the_same_score_again(self) -> None:
        """A second call gives the first score, and inputs are not modified."""
        score, original = self.metric.load(), speech_like()
        coded = original + noise(*original.shape, seed=7, level=0.01)
        before = (original.clone(), coded.clone())
        first = float(score(original, coded, RATE))
        # Some packages add a little noise of their own against divisions by zero.
        assert math.isclose(float(score(original, coded, RATE)), first, rel_tol=1e-6)
        assert torch.equal(before[0], original)
        assert torch.equal(before[1], coded)
