"""A table's columns of a baseline: those that follow from its bitrate and its speed."""

import math
from collections.abc import Sequence

import torch
from pandas import DataFrame
from torch import Tensor

from codeclab.benchmarks.baselines.base import Baseline, offered_rate
from codeclab.benchmarks.baselines.lyra import QUANTIZERS, LyraV2
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.baselines.transformers_codec import TransformersCodec
from codeclab.benchmarks.evaluate.speed import PCM_BITS
from codeclab.benchmarks.evaluate.statistics import ALL, SUMMARY_COLUMNS
from codeclab.codecs.timing import in_threads, median_seconds

SECONDS = 4.0
TIMED = {"rtf_encoder", "rtf_decoder"}
OF_CODES = {"n_codebooks", "frame_rate"}


def baseline_columns(
    baseline: Baseline, names: Sequence[str], bitrates: Sequence[float], sample_rate: int | None = None
) -> DataFrame:
    """The known columns of a baseline, as lines to append to its summary; the others are left out.

    Args:
        baseline: baseline whose columns are wanted.
        names: names of ``COLUMNS``. ``compression`` is that of 16-bit PCM at ``sample_rate``; real-time factors of
            encoder and decoder are given for Lyra V2 and a ``TokenCodec``, on one thread of the CPU as in EnCodec's
            section 4.6; ``frame_rate`` if all codebooks have the same.
        bitrates: bitrates really used, in kbps.
        sample_rate: sample rate of the originals in Hz; None is the baseline's own.
    """
    rate = sample_rate or baseline.sample_rate
    rows = []
    for bitrate in bitrates:
        columns: dict[str, float] = {}
        if rate is not None:
            columns["compression"] = rate * (baseline.channels or 1) * PCM_BITS / 1000 / bitrate
        if baseline.sample_rate is not None:
            columns["sample_rate"], columns["bandwidth"] = baseline.sample_rate / 1000, baseline.sample_rate / 2000
        if isinstance(baseline, LyraV2) and TIMED & set(names):
            columns["rtf_encoder"], columns["rtf_decoder"] = _lyra_factors(baseline, bitrate)
        if isinstance(baseline, TokenCodec) and (TIMED | OF_CODES) & set(names):
            columns |= token_columns(baseline, bitrate)
        rows += [(ALL, bitrate, name, columns[name], math.nan, 1, 0) for name in names if name in columns]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def token_columns(codec: TokenCodec, bitrate: float) -> dict[str, float]:
    """Codebooks, frame rate in Hz and real-time factors of a codec, on four seconds of noise and one thread of the CPU.

    Args:
        codec: codec to be timed.
        bitrate: bitrate really used, in kbps; the nearest bitrate that it offers is run.
    """
    if isinstance(codec, TransformersCodec) and codec.network.device.type != "cpu":
        codec = TransformersCodec(codec.model, "cpu")
    noise = _noise(codec.channels, codec.sample_rate)
    nearest = min(codec.bitrates, key=lambda rate: abs(rate - bitrate))
    tokens = codec.encode(noise, nearest)
    with in_threads(1):
        encoding = median_seconds(lambda: codec.encode(noise, nearest), 1)
        decoding = median_seconds(lambda: codec.decode(tokens), 1)
    columns = {"rtf_encoder": SECONDS / encoding, "rtf_decoder": SECONDS / decoding}
    if tokens.codes:
        columns["n_codebooks"] = float(len(tokens.codes))
    if len({len(code) for code in tokens.codes}) == 1:
        columns["frame_rate"] = len(tokens.codes[0]) / SECONDS
    return columns


def _lyra_factors(lyra: LyraV2, bitrate: float) -> tuple[float, float]:
    noise = _noise(1, lyra.sample_rate)[0]
    n_quantizers = QUANTIZERS[offered_rate(lyra, bitrate)]  # the mean over clips may differ in its last digit
    codes = lyra.encode(noise, n_quantizers)
    encoding = median_seconds(lambda: lyra.encode(noise, n_quantizers), 1)
    return SECONDS / encoding, SECONDS / median_seconds(lambda: lyra.decode(codes), 1)


def _noise(channels: int, sample_rate: int) -> Tensor:
    return 0.1 * torch.randn(channels, round(SECONDS * sample_rate), generator=torch.Generator().manual_seed(0))
