"""Chunks of a ``.clc`` file (``container``) to codes; damage of one does not affect the others."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.arithmetic_coder import RANGE_BITS
from codeclab.codecs.entropy.coders import Array, CodesCoder
from codeclab.codecs.entropy.container import SCALE, Header, chunk_unit
from codeclab.codecs.wording import counted
from codeclab.quantizers.base import ABSENT

QUIET = 1e-8
"""Level of a missing segment."""


@dataclass(frozen=True)
class Chunk:
    """A chunk of a file, not yet decoded.

    Attributes:
        number: number of the chunk, from 0.
        total: samples of the whole audio, for the last chunk; None for others.
        payload: bytes of levels and codes.
        end: position after the chunk in the data from which it was read.
    """

    number: int
    total: int | None
    payload: bytes
    end: int


@dataclass(frozen=True)
class _Payload:
    """A chunk's payload: number of frames and level of each segment, and the bytes of the codes."""

    frames: list[int]
    scales: list[Tensor] | None
    coded: bytes


class ChunkDecoder:
    """Decodes chunks to codes.

    Args:
        codec: codec of the codes.
        header: header of the file.
        coder: coder that the header names.
    """

    def __init__(self, codec: Codec, header: Header, coder: CodesCoder) -> None:
        self._codec, self._header, self._coder = codec, header, coder

    def codes(self, chunks: list[Chunk]) -> list[Codes | ValueError]:
        """The codes of each chunk, or the error in it."""
        opened = [self._opened(chunk) for chunk in chunks]
        coded = {
            index: (payload.coded, sum(payload.frames))
            for index, payload in enumerate(opened)
            if isinstance(payload, _Payload) and payload.frames
        }
        values = self._coder.decode_chunks(list(coded.values()), self._header.n_codebooks)
        decoded = dict(zip(coded, values, strict=True))
        return [
            payload if isinstance(payload, ValueError) else self._finished(chunk, payload, decoded.get(index))
            for index, (chunk, payload) in enumerate(zip(chunks, opened, strict=True))
        ]

    def absent(self, number: int, total: int | None) -> Codes:
        """``ABSENT`` codes for a chunk that cannot be read, in the expected number of frames where that is known."""
        try:
            frames = self._frames(number, total)
        except ValueError:
            frames = []
        gaps = [torch.full((1, self._header.n_codebooks, count), ABSENT, dtype=torch.int64) for count in frames]
        scales = [torch.full((1, 1, 1), QUIET) for _ in frames] if self._codec.normalize else None
        return self._made(number, total if frames else None, gaps, scales)

    def seconds(self, chunks: int) -> float:
        """Duration of a number of chunks, seconds."""
        return chunks * self._header.chunk * chunk_unit(self._codec) / self._codec.sample_rate

    def longest_payload(self) -> int:
        """Upper limit, in bytes, of a chunk's payload: levels, and twice the codes' nominal size."""
        sizes = self._codec.quantizer.codebook_sizes[: self._header.n_codebooks]
        # The least probable entry has a frequency of 1 in 2^24, hence costs 24 bits.
        bits = sum(size.bit_length() + RANGE_BITS for size in sizes)
        return sum(frames * bits // 8 + SCALE.size for frames in self._frames(0, None)) * 2 + 64

    def _opened(self, chunk: Chunk) -> _Payload | ValueError:
        try:
            frames = self._frames(chunk.number, chunk.total)
            scales, data = None, chunk.payload
            if self._codec.normalize:
                scales = [_level(data, index) for index in range(len(frames))]
                data = data[SCALE.size * len(frames) :]
        except ValueError as error:
            return error
        if not frames and data:
            return ValueError(f"{counted(len(data), 'byte')} in a chunk without codes")
        return _Payload(frames, scales, data)

    def _finished(self, chunk: Chunk, payload: _Payload, values: Array | ValueError | None) -> Codes | ValueError:
        """A chunk's codes from the decoded ``values [K, T]``; these are None for a chunk without frames."""
        if isinstance(values, ValueError):
            return values
        segments: list[Tensor] = []
        if values is not None:
            codes = torch.from_numpy(values).long()
            sizes = torch.tensor(self._codec.quantizer.codebook_sizes[: len(codes)])[:, None]
            if (codes >= sizes).any():
                return ValueError("a code is not an entry of its codebook")
            segments = [part[None] for part in codes.split(payload.frames, dim=1)]
        return self._made(chunk.number, chunk.total, segments, payload.scales)

    def _made(self, number: int, total: int | None, segments: list[Tensor], scales: list[Tensor] | None) -> Codes:
        codec, samples = self._codec, self._header.chunk * chunk_unit(self._codec)
        length = samples if total is None else max(total - number * samples, 0)
        kbps = codec.bitrate_of(self._header.n_codebooks)
        codes = Codes(segments, scales, length if segments else 0, codec.sample_rate, kbps)
        return codes.to(next(codec.parameters()).device)

    def _frames(self, number: int, total: int | None) -> list[int]:
        """Number of frames of each segment of a chunk; one segment for a codec that does not cut audio.

        Raises:
            ValueError: the total length does not fit the chunk's number.
        """
        chunk, cut, hop = self._header.chunk, self._codec.segments, self._codec.hop_length
        if total is None:
            return [chunk] if cut is None else [-(-cut.length // hop)] * chunk
        start = number * chunk * chunk_unit(self._codec)
        most = chunk * chunk_unit(self._codec) + (0 if cut is None else cut.length)
        if not -hop < total - start <= most:
            raise ValueError(f"a recording of {counted(total, 'sample')} does not end in chunk {number}")
        if cut is None:
            return [frames] if (frames := -(-(total - start) // hop)) > 0 else []
        return [-(-(stop - begin) // hop) for begin, stop in cut.spans(max(total - start, 0))]


def _level(data: bytes, index: int) -> Tensor:
    if len(data) < SCALE.size * (index + 1):
        raise ValueError("the level of a segment is missing")
    (level,) = SCALE.unpack_from(data, SCALE.size * index)
    if not (math.isfinite(level) and level > 0):
        raise ValueError(f"the level of a segment is {level}; it should be positive and finite")
    return torch.tensor([[[level]]], dtype=torch.float32)
