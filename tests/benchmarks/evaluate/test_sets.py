"""Metrics of sets of clips, per domain."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.judge import Decoded
from codeclab.benchmarks.evaluate.sets import SetStatistics


class Counter:
    """Counts the clips of each group."""

    def __init__(self) -> None:
        self.counts: dict[Any, int] = {}

    def update(self, groups: list[Any], reference: Tensor, estimate: Tensor, sample_rate: int) -> None:
        for group in groups:
            self.counts[group] = self.counts.get(group, 0) + 1

    def results(self) -> dict[Any, float]:
        return {group: float(count) for group, count in self.counts.items()}


def statistics_of(*domains: str) -> list[list[Any]]:
    metric: Any = SimpleNamespace(name="counter", of_set="a:b", start=Counter)
    statistics = SetStatistics([metric])
    audio = torch.zeros(1, 8)
    decoded = [Decoded({"domain": domain, "bitrate_kbps": 6.0}, audio, audio, 8000) for domain in domains]
    assert list(statistics.watched(decoded)) == decoded
    return statistics.info({})["sets"]


def test_a_clip_counts_in_its_domain_and_in_all() -> None:
    assert statistics_of("speech", "music", "speech") == [
        ["all", 6.0, "counter", 3.0, 3, 0],
        ["speech", 6.0, "counter", 2.0, 2, 0],
        ["music", 6.0, "counter", 1.0, 1, 0],
    ]


def test_a_clip_without_a_domain_counts_once() -> None:
    assert statistics_of("all", "all") == [["all", 6.0, "counter", 2.0, 2, 0]]
