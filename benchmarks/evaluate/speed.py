"""A codec's speed, latency and size: the columns of a table that need no decoded audio."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from pandas import DataFrame

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.entropy import entropy_rates
from codeclab.benchmarks.evaluate.evaluate import evaluating
from codeclab.benchmarks.evaluate.statistics import ALL, SUMMARY_COLUMNS
from codeclab.codecs.bitrate import spent_bitrate
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.ecdc_files import RECEPTIVE_SECONDS
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.latency import latency
from codeclab.codecs.timing import in_threads, median_seconds

TIMED_ENTROPY = {"rtf_encoder_entropy", "rtf_decoder_entropy"}

PCM_BITS = 16
"""Bits of an uncompressed sample, against which papers count their compression."""


class RealTimeFactors(NamedTuple):
    """Seconds of audio over seconds of processing: above one is faster than real time."""

    encoder: float
    decoder: float


def real_time_factors(
    codec: Codec, bitrate: float, coder: CodesCoder | None = None, seconds: float = 4.0, repeats: int = 3
) -> RealTimeFactors:
    """Real-time factors of encoder and decoder on one thread of this machine's CPU.

    "The ratio between the duration of the audio and the processing time [...] on a single thread", at one bitrate
    (EnCodec, section 4.6, Tables 5 and A.3). The quantizer belongs to both sides. The median of some runs is taken
    after one that is not counted; noise is as good as any audio, as the work does not depend on it.

    Args:
        codec: any codec; it is put back on its device and into its mode afterwards.
        bitrate: bitrate in kbps.
        coder: coder from codes to bytes and back, which then belongs to both sides, too; None leaves it out.
        seconds: length of the audio coded in each run, s.
        repeats: number of timed runs.
    """
    noise = torch.randn(1, codec.channels, int(seconds * codec.sample_rate), generator=torch.Generator().manual_seed(0))

    def encode() -> tuple[Codes, list[bytes]]:
        encoded = codec.encode(0.1 * noise, bitrate=bitrate)
        return encoded, [] if coder is None else [coder.encode(part[0].numpy()) for part in encoded.segments]

    with evaluating(codec, "cpu"), in_threads(1):
        codes, coded = encode()

        def decode() -> None:
            for part, data in zip(codes.segments, coded, strict=False):
                assert coder is not None
                coder.decode(data, part.shape[1], part.shape[2])
            codec.decode(codes)

        encoding, decoding = median_seconds(encode, repeats), median_seconds(decode, repeats)
    return RealTimeFactors(seconds / encoding, seconds / decoding)


def papers_coder(codec: Codec) -> ModelCoder | None:
    """A coder by an untrained language model of the paper's size, as fast as a trained one; None where none fits."""
    sizes = set(codec.quantizer.codebook_sizes)
    if len(sizes) > 1:
        return None
    context = max(1, int(RECEPTIVE_SECONDS * codec.frame_rate))
    return ModelCoder(LanguageModel(codec.quantizer.n_codebooks, sizes.pop(), context=context).eval())


def codec_columns(
    codec: Codec,
    names: Sequence[str],
    bitrates: Sequence[float],
    coders: Coders | None = None,
    clips: Iterable[Clip] = (),
) -> DataFrame:
    """A table's columns of one codec, as lines to append to its summary.

    Args:
        codec: codec, trained or not: no column but ``entropy_coded`` depends on its weights.
        names: names from ``COLUMNS``; those the suite has no figures for are left out. Timing is done where one needs
            it.
        bitrates: bitrates in kbps, as the codec offers them; every column is given at each.
        coders: coders of the codec; with a language model among them there is ``entropy_coded``.
        clips: clips on which that is measured.

    Returns:
        the columns of ``summarize``: one line per name and bitrate, with no interval.
    """
    rows = []
    coder = papers_coder(codec) if TIMED_ENTROPY & set(names) else None
    for bitrate in bitrates:
        own_figures = _figures(codec, names, bitrate, coder)
        rows += [(ALL, bitrate, name, own_figures[name], math.nan, 1, 0) for name in names if name in own_figures]
    if "entropy_coded" in names and coders is not None and "lm" in coders.names:
        spent = entropy_rates(codec, {name: coders.named(name) for name in ("none", "lm")}, clips, bitrates)
        ours = spent[(spent["coder"] == "lm") & (spent["domain"] == ALL)]
        figures = zip(*(ours[name].tolist() for name in ("bitrate_kbps", "kbps", "n")), strict=True)
        rows += [(ALL, bitrate, "entropy_coded", kbps, math.nan, n, 0) for bitrate, kbps, n in figures]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def _figures(codec: Codec, names: Sequence[str], bitrate: float, coder: CodesCoder | None) -> dict[str, float]:
    pcm = codec.sample_rate * codec.channels * PCM_BITS / 1000
    count = codec.n_codebooks_for(bitrate)
    figures = {
        "sample_rate": codec.sample_rate / 1000,
        "bandwidth": codec.sample_rate / 2000,
        "stride": float(codec.hop_length),
        "frame_rate": codec.frame_rate,
        "n_codebooks": float(count),
        "compression": pcm / spent_bitrate(codec, count),
    }
    if {"latency", "latency_running"} & set(names):
        late = latency(codec)
        figures["latency"], figures["latency_running"] = 1000 * late.start, 1000 * late.running
    if {"rtf_encoder", "rtf_decoder"} & set(names):
        figures["rtf_encoder"], figures["rtf_decoder"] = real_time_factors(codec, bitrate)
    if coder is not None:
        figures["rtf_encoder_entropy"], figures["rtf_decoder_entropy"] = real_time_factors(codec, bitrate, coder)
    return figures
