"""DNSMOS: listeners' scores of speech in noise, estimated from the decoded audio alone, through ``speechmos``."""

from torch import Tensor

from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(("speechmos", "onnxruntime", "librosa"))
SAMPLE_RATE = 16000


def dnsmos_scores(reference: Tensor, estimate: Tensor, sample_rate: int) -> dict[str, float]:
    """All of DNSMOS's scores by name, 1 to 5, higher is better; channels averaged, at 16 kHz, clipped to [-1, 1].

    The names are "ovrl_mos", "sig_mos" and "bak_mos" (P.835: overall, speech, background) and "p808_mos" (P.808). A
    clip shorter than the network's window of 9.01 s is repeated; of a longer one windows are averaged.

    Args:
        reference: unused: the scores are of the decoded audio alone.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate of ``estimate`` in Hz.

    Raises:
        MetricError: the audio is silent or not finite.

    Source: Reddy et al. 2021 and 2022; github.com/microsoft/DNS-Challenge.
    """
    from speechmos import dnsmos as network

    samples = mono(estimate, sample_rate, SAMPLE_RATE, "estimate").clip(-1, 1)
    scores = network.run(samples, SAMPLE_RATE)
    return {name: float(scores[name]) for name in ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos")}


@metric(
    "DNSMOS (overall)",
    higher_is_better=True,
    name="dnsmos",
    requirements="REQUIREMENTS",
    shared=("dnsmos_scores", "ovrl_mos"),
    order=62,
)
def dnsmos_overall(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """DNSMOS of the whole sound (P.835); else as ``dnsmos_scores``."""
    return dnsmos_scores(reference, estimate, sample_rate)["ovrl_mos"]


@metric(
    "DNSMOS (speech)", higher_is_better=True, requirements="REQUIREMENTS", shared=("dnsmos_scores", "sig_mos"), order=62
)
def dnsmos_signal(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """DNSMOS of the speech in the sound (P.835); else as ``dnsmos_scores``."""
    return dnsmos_scores(reference, estimate, sample_rate)["sig_mos"]


@metric(
    "DNSMOS (background)",
    higher_is_better=True,
    requirements="REQUIREMENTS",
    shared=("dnsmos_scores", "bak_mos"),
    order=62,
)
def dnsmos_background(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """DNSMOS of the background (P.835); else as ``dnsmos_scores``."""
    return dnsmos_scores(reference, estimate, sample_rate)["bak_mos"]


@metric(
    "DNSMOS (P.808)", higher_is_better=True, requirements="REQUIREMENTS", shared=("dnsmos_scores", "p808_mos"), order=62
)
def dnsmos_p808(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """DNSMOS under ITU-T P.808; else as ``dnsmos_scores``."""
    return dnsmos_scores(reference, estimate, sample_rate)["p808_mos"]
