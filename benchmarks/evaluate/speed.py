"""How fast a codec is, how late, and how small: the columns of a table that need no decoded audio."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import torch
from pandas import DataFrame

from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.evaluate.statistics import ALL, SUMMARY_COLUMNS
from codeclab.codecs.bitrate import spent_bitrate
from codeclab.codecs.codec import Codec
from codeclab.codecs.latency import latency

PCM_BITS = 16
"""Bits of an uncompressed sample, against which papers count their compression."""


class RealTimeFactors(NamedTuple):
    """Seconds of audio over seconds of processing: above one is faster than real time."""

    encoder: float
    decoder: float


def real_time_factors(codec: Codec, bitrate: float, seconds: float = 4.0, repeats: int = 3) -> RealTimeFactors:
    """Real-time factors of encoder and decoder on one thread of this machine's CPU.

    "The ratio between the duration of the audio and the processing time [...] on a single thread", at one bitrate
    (EnCodec, section 4.6, Tables 5 and A.3). The quantizer belongs to both sides. The median of some runs is taken
    after one that is not counted; noise is as good as any audio, as the work does not depend on it.

    Args:
        codec: any codec; it is put back on its device and into its mode afterwards.
        bitrate: kbps.
        seconds: of audio coded in each run.
        repeats: runs that count.
    """
    noise = torch.randn(1, codec.channels, int(seconds * codec.sample_rate), generator=torch.Generator().manual_seed(0))
    with _alone_on_cpu(codec):
        codes = codec.encode(0.1 * noise, bitrate=bitrate)
        encoding = _seconds_taken(lambda: codec.encode(0.1 * noise, bitrate=bitrate), repeats)
        decoding = _seconds_taken(lambda: codec.decode(codes), repeats)
    return RealTimeFactors(seconds / encoding, seconds / decoding)


def _seconds_taken(work: Callable[[], object], repeats: int) -> float:
    work()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


@contextmanager
def _alone_on_cpu(codec: Codec) -> Iterator[None]:
    home, training, threads = next(codec.parameters()).device, codec.training, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        codec.to("cpu").eval()
        yield
    finally:
        torch.set_num_threads(threads)
        codec.to(home).train(training)


def codec_columns(codec: Codec, names: Sequence[str], bitrates: Sequence[float]) -> DataFrame:
    """A table's columns of one codec, as lines to append to its summary.

    Args:
        codec: trained or not: no column depends on its weights.
        names: from ``COLUMNS``; those the suite has no figures for are left out. Timing is done where one needs it.
        bitrates: kbps, as the codec offers them; every column is given at each.

    Returns:
        The columns of ``summarize``: one line per name and bitrate, with no interval.
    """
    rows = []
    for bitrate in bitrates:
        found = _figures(codec, names, bitrate)
        rows += [(ALL, bitrate, name, found[name], math.nan, 1, 0) for name in names if COLUMNS[name].open is None]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def _figures(codec: Codec, names: Sequence[str], bitrate: float) -> dict[str, float]:
    pcm = codec.sample_rate * codec.channels * PCM_BITS / 1000
    count = codec.n_codebooks_for(bitrate)
    found = {
        "sample_rate": codec.sample_rate / 1000,
        "bandwidth": codec.sample_rate / 2000,
        "stride": float(codec.hop_length),
        "frame_rate": codec.frame_rate,
        "n_codebooks": float(count),
        "bitrate_spent": spent_bitrate(codec, count),
        "compression": pcm / codec.bitrate_of(count),
    }
    if {"latency", "latency_running"} & set(names):
        late = latency(codec)
        found["latency"], found["latency_running"] = 1000 * late.start, 1000 * late.running
    if {"rtf_encoder", "rtf_decoder"} & set(names):
        found["rtf_encoder"], found["rtf_decoder"] = real_time_factors(codec, bitrate)
    return found
