"""Chunks of a ``.clc`` file (``container``) to codes; what is wrong with one costs no other."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.coders import Array, CodesCoder
from codeclab.codecs.entropy.container import SCALE, Header, chunk_unit
from codeclab.codecs.wording import counted
from codeclab.quantizers.base import ABSENT

QUIET = 1e-8
"""Level of a segment that is missing."""


@dataclass(frozen=True)
class Chunk:
    """A chunk as it stands in a file.

    Attributes:
        number: from 0.
        total: samples of the whole audio, in the last chunk; else None.
        payload: levels, and the codes as bytes.
        end: where it ends in the data it was found in.
    """

    number: int
    total: int | None
    payload: bytes
    end: int


@dataclass(frozen=True)
class _Payload:
    """What a chunk's payload holds: frames and level of each segment, and the bytes of the codes."""

    frames: list[int]
    scales: list[Tensor] | None
    coded: bytes


class ChunkDecoder:
    """Makes codes of chunks.

    Args:
        codec: whose codes they are.
        header: of the file.
        coder: that the header asks for.
    """

    def __init__(self, codec: Codec, header: Header, coder: CodesCoder) -> None:
        self._codec, self._header, self._coder = codec, header, coder

    def codes(self, chunks: list[Chunk]) -> list[Codes | ValueError]:
        """Of each chunk its codes, or what is wrong with it."""
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
        """The codes of a chunk that cannot be read: ``ABSENT``, as many as it should have where that can be known."""
        try:
            frames = self._frames(number, total)
        except ValueError:
            frames = []
        gaps = [torch.full((1, self._header.n_codebooks, count), ABSENT, dtype=torch.int64) for count in frames]
        scales = [torch.full((1, 1, 1), QUIET) for _ in frames] if self._codec.normalize else None
        return self._made(number, total if frames else None, gaps, scales)

    def seconds(self, chunks: int) -> float:
        """Length of so many chunks."""
        return chunks * self._header.chunk * chunk_unit(self._codec) / self._codec.sample_rate

    def longest_payload(self, number: int) -> int:
        """Bytes that no payload from this chunk on exceeds: levels, and codes of twice their nominal size."""
        sizes = self._codec.quantizer.codebook_sizes[: self._header.n_codebooks]
        bits = sum(size.bit_length() + 24 for size in sizes)
        return sum(frames * bits // 8 + SCALE.size for frames in self._frames(number, None)) * 2 + 64

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
            return ValueError(f"{counted(len(data), 'byte')} where no codes are")
        return _Payload(frames, scales, data)

    def _finished(self, chunk: Chunk, payload: _Payload, values: Array | ValueError | None) -> Codes | ValueError:
        """A chunk's codes, of the values ``[K, T]`` that its bytes gave, or None where it has none."""
        if isinstance(values, ValueError):
            return values
        segments: list[Tensor] = []
        if values is not None:
            codes = torch.from_numpy(values).long()
            sizes = torch.tensor(self._codec.quantizer.codebook_sizes[: len(codes)])[:, None]
            if (codes >= sizes).any():
                return ValueError("a code is none of its codebook's entries")
            segments = [part[None] for part in codes.split(payload.frames, dim=1)]
        return self._made(chunk.number, chunk.total, segments, payload.scales)

    def _made(self, number: int, total: int | None, segments: list[Tensor], scales: list[Tensor] | None) -> Codes:
        codec, samples = self._codec, self._header.chunk * chunk_unit(self._codec)
        length = samples if total is None else max(total - number * samples, 0)
        kbps = codec.bitrate_of(self._header.n_codebooks)
        codes = Codes(segments, scales, length if segments else 0, codec.sample_rate, kbps)
        return codes.to(next(codec.parameters()).device)

    def _frames(self, number: int, total: int | None) -> list[int]:
        """Frames of each segment of a chunk, of a codec that does not cut in one.

        Raises:
            ValueError: the length of the whole does not fit the chunk's number.
        """
        chunk, cut, hop = self._header.chunk, self._codec.segments, self._codec.hop_length
        if total is None:
            return [chunk] if cut is None else [-(-cut.length // hop)] * chunk
        start = number * chunk * chunk_unit(self._codec)
        most = chunk * chunk_unit(self._codec) + (0 if cut is None else cut.length)
        if not -hop < total - start <= most:
            raise ValueError(f"a whole of {counted(total, 'sample')} does not fit the last chunk's number {number}")
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
