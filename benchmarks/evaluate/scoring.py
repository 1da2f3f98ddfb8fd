"""Scores of one decoded clip, ViSQOL's in worker processes."""

import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

from torch import Tensor

from codeclab.benchmarks.metrics.registry import Metric
from codeclab.benchmarks.metrics.visqol import prepare
from codeclab.benchmarks.metrics.visqol_port import RATES, Mapping, score, start_worker
from codeclab.codecs.loudness import loudness_matched

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

EXPECTED_ERRORS = (ValueError, RuntimeError, ArithmeticError)
"""Errors that a metric may raise for one clip without ending the evaluation."""


class Pending:
    """The scores of one decoded clip, some perhaps still being computed."""

    def __init__(self) -> None:
        self.scores: dict[str, float | Future[float]] = {}
        self.failures: dict[str, str] = {}

    def settle(self, name: str) -> float:
        """The score of the metric, waited for; NaN, with its reason noted, where it failed or is not finite."""
        value = self.scores[name]
        try:
            found = value.result() if isinstance(value, Future) else value
        except BrokenExecutor:
            raise
        except EXPECTED_ERRORS as error:
            self.failures[name] = reason(error)
            return math.nan
        if not math.isfinite(found):
            self.failures.setdefault(name, f"the score is {found}")
            return math.nan
        return found


def reason(error: Exception) -> str:
    """One line that says why, fit for a cell of "metric: reason; ..."."""
    return " ".join(str(error).split()).replace(";", ",") or type(error).__name__


class Scorer:
    """Computes per-file metrics, ViSQOL's in worker processes that start once; use it in a ``with`` statement.

    Args:
        metrics: per-file metrics.
        workers: processes for ViSQOL; 0 computes everything here.
    """

    def __init__(self, metrics: Sequence[Metric], workers: int) -> None:
        if workers < 0:
            raise ValueError(f"workers is {workers}; it must be 0 (compute here) or a number of processes")
        self.metrics = metrics
        self.pool: ProcessPoolExecutor | None = None
        if workers and any(metric.mapping for metric in metrics):
            # Spawned, because a forked copy of a process that holds CUDA or OpenMP threads hangs.
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
        self._reference: Tensor | None = None
        self._prepared: dict[Mapping, NDArray[float32]] = {}

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenExecutor):
            raise RuntimeError("a ViSQOL process died (out of memory?): use fewer workers, or workers=0") from error

    def submit(self, reference: Tensor, estimate: Tensor, sample_rate: int) -> Pending:
        """Start all metrics of one decoded clip.

        Args:
            reference: original samples ``[C, N]``, on the CPU.
            estimate: decoded samples ``[C, N]``, on the CPU.
            sample_rate: Hz of both.
        """
        pending = Pending()
        for metric in self.metrics:
            try:
                if metric.mapping is None:
                    value: float | Future[float] = metric.load()(reference, estimate, sample_rate)
                else:
                    heard = loudness_matched(estimate, reference, sample_rate) if metric.matched else estimate
                    value = self._visqol(reference, heard, sample_rate, metric.mapping, metric.swapped)
            except BrokenExecutor:
                raise
            except EXPECTED_ERRORS as error:
                pending.failures[metric.name] = reason(error)
                value = math.nan
            pending.scores[metric.name] = value
        return pending

    def _visqol(
        self, reference: Tensor, estimate: Tensor, sample_rate: int, mapping: Mapping, swapped: bool
    ) -> "float | Future[float]":
        if reference is not self._reference:  # resampled once per clip, not once per bitrate
            self._reference, self._prepared = reference, {}
        if mapping not in self._prepared:
            self._prepared[mapping] = prepare(reference, sample_rate, mapping)
        original, decoded = self._prepared[mapping], prepare(estimate, sample_rate, mapping)
        first, second = (decoded, original) if swapped else (original, decoded)
        arguments = (first, second, mapping, RATES[mapping])
        return score(*arguments) if self.pool is None else self.pool.submit(score, *arguments)
