"""DNSMOS: listeners' scores of speech in noise, estimated from the decoded audio alone, through ``speechmos``."""

from collections.abc import Mapping
from functools import partial
from weakref import ref

from torch import Tensor

from codeclab.benchmarks.metrics.optional import Requirements, mono

REQUIREMENTS = Requirements(("speechmos", "onnxruntime", "librosa"))
SAMPLE_RATE = 16000
_last: "tuple[ref[Tensor], int, Mapping[str, float]] | None" = None


def dnsmos(reference: Tensor, estimate: Tensor, sample_rate: int, score: str) -> float:
    """One of DNSMOS's scores, 1 to 5, higher is better; channels averaged, at 16 kHz, clipped to [-1, 1].

    A clip shorter than the 9.01 s that the network hears is repeated; of a longer one windows are averaged.

    Args:
        reference: unused: the score is of the decoded audio alone.
        estimate: decoded samples ``[C, N]``.
        sample_rate: Hz.
        score: "ovrl_mos", "sig_mos", "bak_mos" (P.835: overall, speech, background) or "p808_mos" (P.808).

    Raises:
        MetricError: the audio is silent or not finite.

    Source: Reddy et al. 2021 and 2022; github.com/microsoft/DNS-Challenge.
    """
    return float(_scores(estimate, sample_rate)[score])


def _scores(estimate: Tensor, sample_rate: int) -> Mapping[str, float]:
    """All four scores; those of the last clip are kept, as each has a metric of its own."""
    global _last
    if _last is None or _last[0]() is not estimate or _last[1] != sample_rate:
        from speechmos import dnsmos as network

        samples = mono(estimate, sample_rate, SAMPLE_RATE, "estimate").clip(-1, 1)
        _last = (ref(estimate), sample_rate, network.run(samples, SAMPLE_RATE))
    return _last[2]


dnsmos_overall = partial(dnsmos, score="ovrl_mos")
dnsmos_signal = partial(dnsmos, score="sig_mos")
dnsmos_background = partial(dnsmos, score="bak_mos")
dnsmos_p808 = partial(dnsmos, score="p808_mos")
