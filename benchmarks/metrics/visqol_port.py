"""ViSQOL on arrays, light enough for worker processes: it imports neither torch nor, until used, the port."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.codecs.io.workers import THREAD_VARIABLES, leave_signals_to_parent

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray
    from visqol.visqol_manager import VisqolManager

    from codeclab.benchmarks.metrics.visqol_similarity import AnalysedReference, Similarity

Mapping = Literal["svr", "lattice", "exponential"]

RATES: dict[Mapping, int] = {"svr": 48_000, "lattice": 16_000, "exponential": 16_000}
"""Hz each mapping was made for: "svr" is audio mode, the other two are speech mode."""


def score(reference: "NDArray[float32]", estimate: "NDArray[float32]", mapping: Mapping, sample_rate: int) -> float:
    """MOS-LQO of ``estimate``, about 1 to 5.

    Source: ViSQOL v3 (Chinen et al., 2020), https://github.com/google/visqol, as ported by visqol-python.

    Args:
        reference: mono samples ``[N]``.
        estimate: mono samples ``[M]``, aligned by ViSQOL itself.
        mapping: mapping to the score: "svr" (audio mode), or in speech mode "lattice" (the official one) or
            "exponential" (a polynomial fit).
        sample_rate: sample rate of both in Hz.

    Raises:
        MetricError: a signal is empty, silent or not finite, or ViSQOL finds nothing in it to compare.
    """
    return score_or_raise(ReferenceScorer(reference, sample_rate).score(estimate, mapping))


def scores(
    reference: "NDArray[float32]", requests: "Sequence[tuple[NDArray[float32], Mapping]]", sample_rate: int
) -> list[float | MetricError]:
    """The ``score`` of several estimates, each under a mapping, or the error that it failed with.

    The same estimate under several mappings stands there several times, one after the other.
    """
    scorer = ReferenceScorer(reference, sample_rate)
    return [scorer.score(estimate, mapping) for estimate, mapping in requests]


def score_or_raise(outcome: float | MetricError) -> float:
    """The score; an error is raised."""
    if isinstance(outcome, MetricError):
        raise outcome
    return outcome


class ReferenceScorer:
    """Scores any number of signals against one reference, which is analysed once, as is each signal for all mappings.

    Args:
        reference: mono samples ``[N]``.
        sample_rate: sample rate in Hz.
    """

    def __init__(self, reference: "NDArray[float32]", sample_rate: int) -> None:
        self._reference = reference
        self._sample_rate = sample_rate
        self._references: dict[bool, AnalysedReference] = {}
        self._last: tuple[NDArray[float32], bool, Similarity] | None = None

    def score(self, estimate: "NDArray[float32]", mapping: Mapping) -> float | MetricError:
        """MOS-LQO of ``estimate`` ``[M]``, or what it failed with."""
        try:
            return self._scored(estimate, mapping)
        except MetricError as error:
            return error
        except IndexError:
            return MetricError("speech mode found no voice activity in the reference")
        except (ValueError, ArithmeticError) as error:
            return MetricError(str(error))

    def _scored(self, estimate: "NDArray[float32]", mapping: Mapping) -> float:
        import numpy as np

        for role, signal in (("reference", self._reference), ("estimate", estimate)):
            if not np.isfinite(signal).all():
                raise MetricError(f"the {role} is not finite")
            if not signal.any():
                raise MetricError(f"the {role} is silent")
        result = self._similarity(estimate, mapping).mapped(_manager(mapping))
        if not math.isfinite(result):
            raise MetricError("ViSQOL gave no finite score")
        return result

    def _similarity(self, estimate: "NDArray[float32]", mapping: Mapping) -> "Similarity":
        speech = mapping != "svr"
        if self._last is not None and self._last[0] is estimate and self._last[1] == speech:
            return self._last[2]
        if speech not in self._references:
            from codeclab.benchmarks.metrics.visqol_similarity import AnalysedReference

            self._references[speech] = AnalysedReference(self._reference, self._sample_rate, _manager(mapping))
        similarity = self._references[speech].compare(estimate)
        self._last = estimate, speech, similarity
        return similarity


@cache
def _manager(mapping: Mapping) -> "VisqolManager":
    """One loaded model per mapping and process: loading costs 0.1 s, importing visqol-python 2 s."""
    import visqol
    from visqol.visqol_manager import VisqolManager

    manager = VisqolManager()
    if mapping == "svr":
        manager.init(str(Path(visqol.__file__).parent / "model" / "libsvm_nu_svr_model.txt"))
    else:
        with _without_native_output():
            manager.init(use_speech_mode=True, use_lattice_model=mapping == "lattice")
    return manager


@contextmanager
def _without_native_output() -> Iterator[None]:
    """Keep native code from printing on standard error: TensorFlow Lite announces that it computes on the CPU."""
    standard_error = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)


def start_worker() -> None:
    """Hold a worker process to one thread; must run before NumPy and Numba are imported there."""
    leave_signals_to_parent()
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
