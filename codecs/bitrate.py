"""When two bitrates are one, as papers and users round them, and what codes cost, cut audio included."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from codeclab.quantizers.base import Quantizer

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

TOLERANCE = 0.01
"""DAC's "8 kbps" is 7.75, but its "6" and EnCodec's are what they are called within 1 %."""


def same_bitrate(first: float | None, second: float | None) -> bool:
    """Whether two bitrates in kbps are within 1 % of each other; None, which is no bitrate, is like none."""
    return first is not None and second is not None and math.isclose(first, second, rel_tol=TOLERANCE)


def is_among(bitrate: float, offered: Iterable[float]) -> bool:
    """Whether a bitrate in kbps is one of those offered."""
    return any(same_bitrate(bitrate, one) for one in offered)


def spent_bitrate(codec: "Codec", n_codebooks: int) -> float:
    """The kbps of a number of codebooks with what cutting audio adds, overlaps and levels; else the nominal one."""
    if codec.segments is None:
        return codec.bitrate_of(n_codebooks)
    bits = codec.quantizer.bits_per_frame(n_codebooks)
    return codec.segments.bitrate(bits, codec.hop_length, codec.sample_rate, codec.normalize)


def mean_bits(quantizer: Quantizer, recordings: Iterable[Sequence[Tensor]]) -> float:
    """Bits that codes cost, the mean over all frames of all items.

    Args:
        quantizer: which made them.
        recordings: of each the codes of its segments, ``[B, K, T]``.

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
