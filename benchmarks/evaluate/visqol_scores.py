"""ViSQOL's scores of one clip's decoded versions: at once, or together by a worker process."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial

from numpy import float32
from numpy.typing import NDArray

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.visqol_port import Mapping, ReferenceScorer, score_or_raise, scores


class ViSQOLScores:
    """ViSQOL's scores against one reference, which is analysed once.

    Args:
        reference: mono samples ``[N]``.
        sample_rate: sample rate in Hz.
        pool: workers, of which one computes all that was requested; None computes each score when it is requested.
    """

    def __init__(self, reference: NDArray[float32], sample_rate: int, pool: ProcessPoolExecutor | None) -> None:
        self._reference = reference
        self._sample_rate = sample_rate
        self._pool = pool
        self._scorer = ReferenceScorer(reference, sample_rate)
        self._requested: list[tuple[NDArray[float32], Mapping]] = []
        self._answer: Future[list[float | MetricError]] | None = None

    @property
    def started(self) -> bool:
        """Whether a worker has them, so that no more can be requested."""
        return self._answer is not None

    def request(self, estimate: NDArray[float32], mapping: Mapping) -> Callable[[], float]:
        """Request the score of mono samples ``[M]``; the function that is returned waits for it, or raises."""
        if self._pool is None:
            return partial(score_or_raise, self._scorer.score(estimate, mapping))
        self._requested.append((estimate, mapping))
        return partial(self._result, len(self._requested) - 1)

    def start(self) -> None:
        """Hand what was requested to a worker."""
        if self._pool is not None and self._requested and self._answer is None:
            self._answer = self._pool.submit(scores, self._reference, self._requested, self._sample_rate)
            self._requested = []

    def _result(self, position: int) -> float:
        self.start()
        assert self._answer is not None
        return score_or_raise(self._answer.result()[position])
