"""PESQ: the telephone industry's estimate of listeners' scores for speech (ITU-T P.862), through ``pesq``."""

from typing import Literal

from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(("pesq",))
RATES: dict[Literal["nb", "wb"], int] = {"nb": 8000, "wb": 16000}


@metric("PESQ (wideband)", higher_is_better=True, name="pesq", requirements="REQUIREMENTS", order=60)
def pesq_wideband(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Wideband PESQ (P.862.2), MOS-LQO of 1 to about 4.64, higher is better; channels averaged, at 16 kHz.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate of both in Hz.

    Raises:
        MetricError: a signal is silent or not finite, too short (a quarter of a second), or has no speech.
    """
    return _pesq(reference, estimate, sample_rate, "wb")


@metric("PESQ (narrowband)", higher_is_better=True, requirements="REQUIREMENTS", order=60)
def pesq_narrowband(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Narrowband PESQ (P.862.1), of 1 to about 4.55, at 8 kHz; else as ``pesq_wideband``."""
    return _pesq(reference, estimate, sample_rate, "nb")


def _pesq(reference: Tensor, estimate: Tensor, sample_rate: int, mode: Literal["nb", "wb"]) -> float:
    import pesq

    first = mono(reference, sample_rate, RATES[mode], "reference")
    second = mono(estimate, sample_rate, RATES[mode], "estimate")
    try:
        return float(pesq.pesq(RATES[mode], first, second, mode))
    except pesq.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise MetricError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error
