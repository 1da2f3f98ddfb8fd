"""DNSMOS: listeners' scores of speech in noise, estimated from the decoded audio alone, through ``speechmos``."""

from functools import partial

from torch import Tensor

from codeclab.benchmarks.metrics.optional import Requirements, mono

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


def dnsmos(reference: Tensor, estimate: Tensor, sample_rate: int, score: str) -> float:
    """One of DNSMOS's scores by its name in ``dnsmos_scores``, which has the arguments and errors."""
    return dnsmos_scores(reference, estimate, sample_rate)[score]


dnsmos_overall = partial(dnsmos, score="ovrl_mos")
dnsmos_signal = partial(dnsmos, score="sig_mos")
dnsmos_background = partial(dnsmos, score="bak_mos")
dnsmos_p808 = partial(dnsmos, score="p808_mos")
