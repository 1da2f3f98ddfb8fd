"""ViSQOL's scores of one clip's decoded versions: at once, or together by a worker process."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.visqol_port import Mapping, ReferenceScorer, score_or_raise, scores

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


class ViSQOLScores:
    """Scores against one reference, which is analysed once.

    Args:
        reference: mono samples ``[N]``.
        sample_rate: Hz.
        pool: workers, of which one computes all that was requested; None computes each score when it is requested.
    """

    def __init__(self, reference: "NDArray[float32]", sample_rate: int, pool: ProcessPoolExecutor | None) -> None:
        self._reference = reference
        self._sample_rate = sample_rate
        self._pool = pool
        self._scorer = ReferenceScorer(reference, sample_rate)
        self._asked: list[tuple[NDArray[float32], Mapping]] = []
        self._found: Future[list[float | MetricError]] | None = None

    @property
    def started(self) -> bool:
        """Whether a worker has them, so that no more can be requested."""
        return self._found is not None

    def ask(self, estimate: "NDArray[float32]", mapping: Mapping) -> Callable[[], float]:
        """Ask for the score of mono samples ``[M]``; returns what waits for it, or raises ``MetricError``."""
        if self._pool is None:
            return partial(score_or_raise, self._scorer.score(estimate, mapping))
        self._asked.append((estimate, mapping))
        return partial(self._result, len(self._asked) - 1)

    def start(self) -> None:
        """Hand what was requested to a worker."""
        if self._pool is not None and self._asked and self._found is None:
            self._found = self._pool.submit(scores, self._reference, self._asked, self._sample_rate)
            self._asked = []

    def _result(self, position: int) -> float:
        self.start()
        assert self._found is not None
        return score_or_raise(self._found.result()[position])
