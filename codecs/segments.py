"""How audio is cut into overlapping segments and put together again (EnCodec 3.1, "Non-streamable")."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SEGMENTS_AT_ONCE = 8
"""Segments that are coded as one batch."""

LEVEL_BITS = 32
"""Of a segment's level where a codec normalises: a float, as EnCodec's released files have it."""


@dataclass(frozen=True)
class Segments:
    """Segments of one length that start at every multiple of one stride below the end of the audio.

    Attributes:
        length: samples of a segment; the last ones are shorter.
        stride: samples from one start to the next.
    """

    length: int
    stride: int

    @classmethod
    def of(cls, seconds: float, overlap: float, sample_rate: int) -> "Segments":
        """Segments of ``seconds``, of which a share ``overlap`` overlaps the next; truncated to samples as released."""
        length = int(seconds * sample_rate)
        return cls(length, max(1, int((1 - overlap) * length)))

    def spans(self, total: int) -> Iterator[tuple[int, int]]:
        """First sample and the one after the last, of each segment of ``total`` samples."""
        for start in range(0, total, self.stride):
            yield start, min(start + self.length, total)

    def bitrate(self, bits_per_frame: float, hop_length: int, sample_rate: int, levels: bool) -> float:
        """The kbps that segments cost: what overlaps is coded twice, and each may have a level of its own.

        Args:
            bits_per_frame: bits of the codes of a frame.
            hop_length: samples of a frame.
            sample_rate: Hz.
            levels: whether each has a level.
        """
        bits = -(-self.length // hop_length) * bits_per_frame + LEVEL_BITS * levels
        return bits * sample_rate / self.stride / 1000

    def overlap_add(self, pieces: Sequence[Tensor]) -> Tensor:
        """Decoded segments put together: each weighted by a triangle, their sum divided by the summed weights.

        The triangle is as long as the first segment; a shorter one takes its beginning.

        Args:
            pieces: ``[B, C, n]``, in order.

        Returns:
            audio ``[B, C, N]`` up to the end of the piece that ends last.
        """
        weights = triangle(pieces[0])
        total = max(index * self.stride + piece.shape[-1] for index, piece in enumerate(pieces))
        added = pieces[0].new_zeros(*pieces[0].shape[:-1], total)
        weight = pieces[0].new_zeros(total)
        for index, piece in enumerate(pieces):
            span = slice(index * self.stride, index * self.stride + piece.shape[-1])
            added[..., span] += piece * weights[: piece.shape[-1]]
            weight[span] += weights[: piece.shape[-1]]
        return divided(added, weight)


def triangle(piece: Tensor) -> Tensor:
    """The weights of a segment ``[B, C, n]``: a triangle ``[n]`` without its zero ends."""
    steps = torch.linspace(0, 1, piece.shape[-1] + 2, device=piece.device, dtype=piece.dtype)[1:-1]
    return 0.5 - (steps - 0.5).abs()


def divided(added: Tensor, weight: Tensor) -> Tensor:
    """The weighted sum over the weights; zero where a decoder that falls short leaves a gap between segments."""
    return added / weight.clamp(min=torch.finfo(weight.dtype).tiny)


def equal_pieces(audio: Tensor, spans: Iterable[tuple[int, int]]) -> Iterator[list[Tensor]]:
    """Pieces ``[B, C, n]`` of audio, in order, those of one length together."""
    waiting: list[Tensor] = []
    for start, end in spans:
        piece = audio[..., start:end]
        if waiting and (waiting[0].shape != piece.shape or len(waiting) == SEGMENTS_AT_ONCE):
            yield waiting
            waiting = []
        waiting.append(piece)
    yield waiting


def equal_runs(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and one after the last of each run of equal lengths, at most ``SEGMENTS_AT_ONCE`` long."""
    first = 0
    for index in range(1, len(lengths) + 1):
        if index == len(lengths) or lengths[index] != lengths[first] or index - first == SEGMENTS_AT_ONCE:
            yield first, index
            first = index
