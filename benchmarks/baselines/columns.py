"""A table's columns of a baseline: those that its bitrate and its clock give."""

import math
import time
from collections.abc import Sequence

import torch
from pandas import DataFrame

from codeclab.benchmarks.baselines.base import Baseline
from codeclab.benchmarks.baselines.lyra import QUANTIZERS, SAMPLE_RATE, LyraV2
from codeclab.benchmarks.evaluate.statistics import ALL, SUMMARY_COLUMNS

PCM_BITS = 16
SECONDS = 4.0


def baseline_columns(
    baseline: Baseline, names: Sequence[str], bitrates: Sequence[float], sample_rate: int | None = None
) -> DataFrame:
    """The columns of a baseline that can be told, as lines to append to its summary; the others are left out.

    Args:
        baseline: The baseline.
        names: From ``COLUMNS``. ``compression`` is that of 16-bit PCM at ``sample_rate``; encoder's and decoder's
            real-time factors are told of Lyra V2, on one thread as EnCodec's section 4.6 has it.
        bitrates: kbps really spent.
        sample_rate: Hz of the originals; None is the baseline's own.
    """
    rate = sample_rate or baseline.sample_rate
    rows = []
    for bitrate in bitrates:
        found: dict[str, float] = {}
        if rate is not None:
            found["compression"] = rate * (baseline.channels or 1) * PCM_BITS / 1000 / bitrate
        if baseline.sample_rate is not None:
            found["sample_rate"], found["bandwidth"] = baseline.sample_rate / 1000, baseline.sample_rate / 2000
        if isinstance(baseline, LyraV2) and {"rtf_encoder", "rtf_decoder"} & set(names):
            found["rtf_encoder"], found["rtf_decoder"] = _real_time_factors(baseline, bitrate)
        rows += [(ALL, bitrate, name, found[name], math.nan, 1, 0) for name in names if name in found]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def _real_time_factors(lyra: LyraV2, bitrate: float) -> tuple[float, float]:
    noise = 0.1 * torch.randn(round(SECONDS * SAMPLE_RATE), generator=torch.Generator().manual_seed(0))
    n_quantizers = QUANTIZERS[bitrate]
    codes = lyra.encode(noise, n_quantizers)  # the first call also loads the models
    lyra.decode(codes)
    began = time.perf_counter()
    lyra.encode(noise, n_quantizers)
    encoded = time.perf_counter()
    lyra.decode(codes)
    return SECONDS / (encoded - began), SECONDS / (time.perf_counter() - encoded)
