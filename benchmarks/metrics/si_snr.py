"""Scale-invariant signal-to-noise ratio."""

from torch import Tensor

from codeclab.benchmarks.metrics.registry import metric
from codeclab.benchmarks.metrics.si_sdr import si_sdr


@metric("SI-SNR", higher_is_better=True, unit="dB", order=20)
def si_snr(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """SI-SNR in dB, higher is better (Luo and Mesgarani 2019; the tables of EnCodec).

    With the means removed this is the same ratio as SI-SDR; the two names are the two papers'. It is taken over the
    whole clip, where AudioCraft's training code pads frames with zeros, and its sign is the opposite.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: unused.

    Returns:
        the ratio in dB; NaN where a channel of the reference is silent.

    Raises:
        ValueError: the shapes differ.
    """
    return si_sdr(reference, estimate, sample_rate)
