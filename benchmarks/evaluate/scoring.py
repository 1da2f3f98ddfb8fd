"""Scores of one decoded clip, ViSQOL's in worker processes."""

import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import cached_property
from types import TracebackType

from numpy import float32
from numpy.typing import NDArray
from torch import Tensor

from codeclab.benchmarks.evaluate.visqol_scores import ViSQOLScores
from codeclab.benchmarks.metrics.metric import Metric
from codeclab.benchmarks.metrics.visqol import prepare
from codeclab.benchmarks.metrics.visqol_port import RATES, Mapping, start_worker
from codeclab.codecs.loudness import loudness_matched, measure_lufs

EXPECTED_ERRORS = (ValueError, RuntimeError, ArithmeticError)
"""Errors that a metric may raise for one clip without ending the evaluation."""


class Pending:
    """The scores of one decoded clip, some perhaps still being computed."""

    def __init__(self) -> None:
        self.scores: dict[str, float | Callable[[], float]] = {}
        self.failures: dict[str, str] = {}

    def settle(self, name: str) -> float:
        """The score of the metric, waited for; NaN, with its reason noted, where it failed or is not finite."""
        value = self.scores[name]
        try:
            score = value() if callable(value) else value
        except BrokenExecutor:
            raise
        except EXPECTED_ERRORS as error:
            self.failures[name] = reason(error)
            return math.nan
        if not math.isfinite(score):
            self.failures.setdefault(name, f"the score is {score}")
            return math.nan
        return score


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
            raise ValueError(f"workers is {workers}; it should be 0 (compute here) or a number of processes")
        self.metrics = metrics
        self.pool: ProcessPoolExecutor | None = None
        if workers and any(metric.mapping for metric in metrics):
            # Spawned, because a forked copy of a process that holds CUDA or OpenMP threads hangs.
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
        self._original: Original | None = None

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

        What belongs to the original is computed once for all decoded clips in a row that are given the same tensor.
        ViSQOL's scores go to a worker together, when the next original comes or the first of them is waited for.

        Args:
            reference: original samples ``[C, N]``, on the CPU.
            estimate: decoded samples ``[C, N]``, on the CPU.
            sample_rate: sample rate of both in Hz.
        """
        if self._original is None or self._original.audio is not reference:
            self.start()
            self._original = Original(reference, sample_rate, self.pool)
        pending = Pending()
        version = Version(self._original, estimate)
        for metric in self.metrics:
            try:
                value: float | Callable[[], float] = version.scored(metric)
            except BrokenExecutor:
                raise
            except EXPECTED_ERRORS as error:
                pending.failures[metric.name] = reason(error)
                value = math.nan
            pending.scores[metric.name] = value
        return pending

    def start(self) -> None:
        """Hand ViSQOL's part of the last original's decoded clips to a worker."""
        if self._original is not None:
            self._original.start()


class Original:
    """A clip's original, and what metrics compute of it, each once and when it is first needed.

    Args:
        audio: samples ``[C, N]``.
        sample_rate: sample rate in Hz.
        pool: workers for ViSQOL; None computes here.
    """

    def __init__(self, audio: Tensor, sample_rate: int, pool: ProcessPoolExecutor | None) -> None:
        self.audio = audio
        self.sample_rate = sample_rate
        self.pool = pool
        self._measuring: dict[str, Callable[[Tensor], float]] = {}
        self._prepared: dict[int, NDArray[float32]] = {}
        self._visqol: dict[int, ViSQOLScores] = {}

    @cached_property
    def lufs(self) -> float:
        """Integrated loudness."""
        return measure_lufs(self.audio, self.sample_rate)

    def measuring(self, metric: Metric) -> Callable[[Tensor], float]:
        """A metric's function of the estimate; the same for a metric at the original's loudness."""
        if str(metric.function) not in self._measuring:
            self._measuring[str(metric.function)] = metric.measuring(self.audio, self.sample_rate)
        return self._measuring[str(metric.function)]

    def prepared(self, mapping: Mapping) -> NDArray[float32]:
        """Mono samples at the mapping's rate."""
        rate = RATES[mapping]
        if rate not in self._prepared:
            self._prepared[rate] = prepare(self.audio, self.sample_rate, mapping)
        return self._prepared[rate]

    def visqol(self, mapping: Mapping) -> ViSQOLScores:
        """Scores at the mapping's rate that can be requested."""
        rate = RATES[mapping]
        if rate not in self._visqol or self._visqol[rate].started:
            self._visqol[rate] = ViSQOLScores(self.prepared(mapping), rate, self.pool)
        return self._visqol[rate]

    def start(self) -> None:
        """Hand what was requested of ViSQOL to workers."""
        for visqol_scores in self._visqol.values():
            visqol_scores.start()


class Version:
    """A decoded version of an original, as metrics hear it.

    Args:
        original: signal that was encoded.
        audio: decoded samples ``[C, N]``.
    """

    def __init__(self, original: Original, audio: Tensor) -> None:
        self.original = original
        self.audio = audio
        self._prepared: dict[tuple[bool, int], NDArray[float32]] = {}
        self._shared: dict[tuple[bool, str], dict[str, float]] = {}

    @cached_property
    def matched(self) -> Tensor:
        """The decoded audio at the original's loudness."""
        return loudness_matched(self.audio, self.original.lufs, self.original.sample_rate)

    def scored(self, metric: Metric) -> float | Callable[[], float]:
        """A metric's score, or what waits for it."""
        heard = self.matched if metric.matched else self.audio
        if metric.shared is not None:
            computation = (metric.matched, metric.shared.function)
            if computation not in self._shared:
                self._shared[computation] = metric.shared_scores(self.original.audio, heard, self.original.sample_rate)
            return self._shared[computation][metric.shared.key]
        if metric.mapping is None:
            return self.original.measuring(metric)(heard)
        key, mapping = (metric.matched, RATES[metric.mapping]), metric.mapping
        if key not in self._prepared:
            self._prepared[key] = prepare(heard, self.original.sample_rate, mapping)
        if not metric.swapped:
            return self.original.visqol(mapping).request(self._prepared[key], mapping)
        swapped = ViSQOLScores(self._prepared[key], RATES[mapping], self.original.pool)
        waiting = swapped.request(self.original.prepared(mapping), mapping)
        swapped.start()
        return waiting
