"""STOI: how much of speech is understood (Taal et al. 2011), and its extension (Jensen and Taal 2016)."""

import warnings

from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(("pystoi",))


@metric("STOI", higher_is_better=True, form=".3f", requirements="REQUIREMENTS", order=61)
def stoi(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Short-time objective intelligibility, at most 1, higher is better; through ``pystoi``, which works at 10 kHz.

    Channels are averaged.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate of both in Hz.

    Raises:
        MetricError: a signal is silent or not finite, or less than 0.4 s of the reference is above -40 dB.
    """
    return _stoi(reference, estimate, sample_rate, extended=False)


@metric("Extended STOI", higher_is_better=True, form=".3f", name="estoi", requirements="REQUIREMENTS", order=61)
def stoi_extended(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Extended STOI, for noise that comes and goes; else as ``stoi``."""
    return _stoi(reference, estimate, sample_rate, extended=True)


def _stoi(reference: Tensor, estimate: Tensor, sample_rate: int, extended: bool) -> float:
    import pystoi

    first = mono(reference, sample_rate, sample_rate, "reference")
    second = mono(estimate, sample_rate, sample_rate, "estimate")
    with warnings.catch_warnings():
        # It warns and answers 1e-5 where there is too little to compare.
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(pystoi.stoi(first, second, sample_rate, extended=extended))
        except RuntimeWarning as error:
            raise MetricError("less than 0.4 s of the reference is loud enough to compare") from error
