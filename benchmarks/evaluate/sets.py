"""Metrics of whole sets of decoded clips, counted while the clips go by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from codeclab.benchmarks.evaluate.judge import Decoded
from codeclab.benchmarks.evaluate.statistics import domains_of
from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.metric import Metric


class SetStatistics:
    """The metrics of sets of clips, per domain and bitrate.

    Args:
        metrics: chosen metrics; those of files and codes are left to others.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._counters = {metric.name: metric.start() for metric in metrics if metric.of_set}
        self._clips: dict[tuple[str, str, float], list[int]] = {}

    def watched(self, decoded: Iterable[Decoded]) -> Iterator[Decoded]:
        """The clips as they are, counted; one that a metric cannot use is left out of that metric."""
        for item in decoded:
            groups = [(domain, float(item.row["bitrate_kbps"])) for domain in domains_of(item.row["domain"])]
            for name, counter in self._counters.items():
                counted = True
                try:
                    counter.update(groups, item.reference, item.estimate, item.sample_rate)
                except MetricError:
                    counted = False
                for domain, rate in groups:
                    self._clips.setdefault((name, domain, rate), [0, 0])[not counted] += 1
            yield item

    def info(self, spent: Mapping[float, float]) -> dict[str, Any]:
        """``{"sets": [[domain, kbps, metric, figure, clips, left out], …]}``; empty without such a metric.

        Args:
            spent: bitrates really spent, in kbps, by those the clips went by under.
        """
        rows = []
        for name, counter in self._counters.items():
            for (domain, rate), figure in counter.results().items():
                n, failed = self._clips[name, domain, rate]
                rows.append([domain, spent.get(rate, rate), name, figure, n, failed])
        return {"sets": rows} if self._counters else {}
