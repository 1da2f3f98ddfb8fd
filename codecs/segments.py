"""Overlapping segments of audio: cutting and overlap-add (EnCodec 3.1, "Non-streamable")."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SEGMENTS_AT_ONCE = 8
"""Largest number of segments that are coded as one batch."""

LEVEL_BITS = 32
"""Bits of a segment's level, a float as in EnCodec's released files, if the codec normalizes."""


@dataclass(frozen=True)
class Segments:
    """Segments of equal length that start at each multiple of a stride before the end of the audio.

    Attributes:
        length: samples per segment; the last ones are shorter.
        stride: samples from the start of a segment to the next start.
    """

    length: int
    stride: int

    @classmethod
    def of(cls, seconds: float, overlap: float, sample_rate: int) -> "Segments":
        """Segments of ``seconds``, of which a share ``overlap`` overlaps the next; truncated to samples as released."""
        length = int(seconds * sample_rate)
        return cls(length, max(1, int((1 - overlap) * length)))

    def spans(self, total: int) -> Iterator[tuple[int, int]]:
        """The first sample of each segment and the sample after its last one, for audio of ``total`` samples."""
        for start in range(0, total, self.stride):
            yield start, min(start + self.length, total)

    def bitrate(self, bits_per_frame: float, hop_length: int, sample_rate: int, levels: bool) -> float:
        """The kbps of segments, including overlaps, which are coded twice, and levels.

        Args:
            bits_per_frame: bits of the codes of a frame.
            hop_length: samples per frame.
            sample_rate: sampling rate, Hz.
            levels: whether each segment has a level.
        """
        bits = -(-self.length // hop_length) * bits_per_frame + LEVEL_BITS * levels
        return bits * sample_rate / self.stride / 1000

    def overlap_add(self, pieces: Sequence[Tensor]) -> Tensor:
        """The overlap-add of all decoded segments ``[B, C, n]``; audio ``[B, C, N]`` to the end of what ends last."""
        adder = SegmentAdder(self.stride, pieces[0][..., :0])
        added = torch.cat([*map(adder.push, pieces), adder.flush()], dim=-1)
        return added[..., : max(index * self.stride + piece.shape[-1] for index, piece in enumerate(pieces))]


class SegmentAdder:
    """The overlap-add of decoded segments: each is weighted by a triangle, the sum is divided by the summed weights.

    The triangle is as long as the first segment; a shorter one takes its beginning.

    Args:
        stride: samples from the start of a segment to the next start.
        nothing: no audio, ``[B, C, 0]``, of the segments' type and device.
    """

    def __init__(self, stride: int, nothing: Tensor) -> None:
        self._stride = stride
        self._triangle: Tensor | None = None
        self._added, self._weight = nothing, nothing.new_zeros(0)

    def push(self, piece: Tensor) -> Tensor:
        """Add the next segment ``[B, C, n]``; returns the ``stride`` samples that no later segment reaches."""
        if self._triangle is None:
            self._triangle = triangle(piece)
        length = piece.shape[-1]
        # A last segment may be shorter than a stride, but a stride is given out: zeros of weight 0 fill the gap.
        missing = max(length, self._stride) - self._weight.shape[-1]
        self._added, self._weight = F.pad(self._added, (0, max(missing, 0))), F.pad(self._weight, (0, max(missing, 0)))
        self._added[..., :length] += piece * self._triangle[:length]
        self._weight[:length] += self._triangle[:length]
        final = divided(self._added[..., : self._stride], self._weight[: self._stride])
        self._added, self._weight = self._added[..., self._stride :], self._weight[self._stride :]
        return final

    def flush(self) -> Tensor:
        """The remaining samples."""
        return divided(self._added, self._weight)


def triangle(piece: Tensor) -> Tensor:
    """The weights of a segment ``[B, C, n]``, a triangle ``[n]`` without its zero ends."""
    steps = torch.linspace(0, 1, piece.shape[-1] + 2, device=piece.device, dtype=piece.dtype)[1:-1]
    return 0.5 - (steps - 0.5).abs()


def divided(added: Tensor, weight: Tensor) -> Tensor:
    """The weighted sum divided by the weights; zero in gaps, which a decoder with short outputs leaves."""
    return added / weight.clamp(min=torch.finfo(weight.dtype).tiny)


def equal_runs(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first index of each run of equal lengths and the index after it, at most ``SEGMENTS_AT_ONCE`` apart."""
    first = 0
    for index in range(1, len(lengths) + 1):
        if index == len(lengths) or lengths[index] != lengths[first] or index - first == SEGMENTS_AT_ONCE:
            yield first, index
            first = index
