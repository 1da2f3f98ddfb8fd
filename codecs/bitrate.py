"""Bitrates: which are equal up to rounding, and what codes cost, including the overlaps of segments."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from codeclab.quantizers.base import Quantizer

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

TOLERANCE = 0.01
"""Relative tolerance. DAC's "6" and EnCodec's bitrates are within 1 % of their names; DAC's "8 kbps", 7.75, is not."""

NEAR = 0.05
"""Relative tolerance of comparisons; see ``about_bitrate``."""


def same_bitrate(first: float | None, second: float | None) -> bool:
    """Whether two bitrates in kbps are within 1 % of each other; None equals no bitrate."""
    return first is not None and second is not None and math.isclose(first, second, rel_tol=TOLERANCE)


def about_bitrate(bitrate: float, wanted: float) -> bool:
    """Whether a bitrate in kbps is within 5 % of another, so that figures at both are set beside each other.

    Codecs have few bitrates and seldom the same ones, and papers round theirs (DAC's "8 kbps" is 7.75): at 1 %, tables
    of several codecs would compare almost nothing. A codec that is measured alone has no others to be near, and
    ``same_bitrate`` decides whether it offers a rate.
    """
    return abs(bitrate - wanted) <= NEAR * wanted


def is_among(bitrate: float, offered: Iterable[float]) -> bool:
    """Whether a bitrate in kbps is one of those offered, up to rounding."""
    return any(same_bitrate(bitrate, one) for one in offered)


def listed_rates(rates: Iterable[float]) -> str:
    """Bitrates as messages list them, such as "1.5, 3, 6"."""
    return ", ".join(f"{rate:.4g}" for rate in rates)


def spent_bitrate(codec: "Codec", n_codebooks: int) -> float:
    """The kbps of a number of codebooks, including the overlaps and levels of segments; nominal without segments."""
    if codec.segments is None:
        return codec.bitrate_of(n_codebooks)
    bits = codec.quantizer.bits_per_frame(n_codebooks)
    return codec.segments.bitrate(bits, codec.hop_length, codec.sample_rate, codec.normalize)


def mean_bits(quantizer: Quantizer, recordings: Iterable[Sequence[Tensor]]) -> float:
    """The mean cost of codes over all frames of all items, bits per frame.

    Args:
        quantizer: quantizer of the codes.
        recordings: codes ``[B, K, T]`` of the segments of each recording.

    Raises:
        ValueError: there are no codes.
    """
    bits, frames = 0.0, 0
    for segments in recordings:
        for codes in segments:
            bits += float(quantizer.code_bits(codes).sum()) * codes.shape[2]
            frames += codes.shape[0] * codes.shape[2]
    if not frames:
        raise ValueError("there are no clips to measure the bitrate on")
    return bits / frames
