"""What every metric of a file promises."""

import math
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.codes import CodeStatistics
from codeclab.benchmarks.evaluate.evaluation import TOGETHER
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


class NamedMetric:
    """A metric under test.

    Attributes:
        name: name of the metric in ``METRICS``.
    """

    name: str

    @property
    def metric(self) -> Metric:
        """The entry."""
        return METRICS[self.name]


class MetricContract(NamedMetric):
    """A score of an estimate against its original."""

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


class SetMetricContract(NamedMetric):
    """A figure of a set of decoded clips against the originals."""

    def figures(self, level: float, n_clips: int = 4) -> dict[Any, float]:
        """The figures of two groups, of all clips and of the odd ones, whose noise has a ``level``."""
        counter = self.metric.start()
        for index in range(n_clips):
            original = speech_like(1.0 + 0.25 * index)
            hiss = noise(*original.shape, seed=index, level=level)
            counter.update(["all", "odd"] if index % 2 else ["all"], original, original + hiss, RATE)
        return dict(counter.results())

    def test_more_noise_is_no_better(self) -> None:
        """The direction that the entry states is the figure's, in each group."""
        clear, noisy = self.figures(0.002), self.figures(0.05)
        assert set(clear) == set(noisy) == {"all", "odd"}
        for group, figure in clear.items():
            assert math.isfinite(figure)
            assert math.isfinite(noisy[group])
            assert clear[group] != noisy[group]
            assert (figure > noisy[group]) == self.metric.higher_is_better

    def test_counters_do_not_share_what_they_count(self) -> None:
        """A second codec is measured as the first was."""
        first = self.figures(0.002)
        self.figures(0.05)
        assert self.figures(0.002) == first


class CodesMetricContract(NamedMetric):
    """A figure of how a test set's codes use their codebooks."""

    def figure(self, used: int) -> float:
        """The figure of random codes, of which two codebooks of 64 entries use only some."""
        codes = torch.randint(used, (1, 2, 4096), generator=torch.Generator().manual_seed(0))
        statistics = CodeStatistics([64, 64])
        statistics.update("speech", 6.0, [codes])
        lines = statistics.table()
        lines = lines[lines["domain"] == "speech"].drop(columns=["domain", "bitrate_kbps"])
        together = lines["codebook"] == TOGETHER
        return self.metric.score_of_codes(lines[~together], lines[together].iloc[0])

    def test_codes_that_use_more_entries_are_better(self) -> None:
        """The direction that the entry states is the figure's."""
        even, narrow = self.figure(64), self.figure(8)
        assert math.isfinite(even)
        assert math.isfinite(narrow)
        assert even != narrow
        assert (even > narrow) == self.metric.higher_is_better
