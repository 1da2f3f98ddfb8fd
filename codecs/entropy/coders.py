"""Coders from codes to bytes and back: packed, or in fewer bits where frequencies are known."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.entropy.arithmetic_coder import RANGE_BITS, ArithmeticDecoder, ArithmeticEncoder
from codeclab.codecs.entropy.bit_packing import pack, packed_size, unpack
from codeclab.codecs.wording import by_number, counted

Array = NDArray[np.int64]

TOTAL = 1 << RANGE_BITS
"""Sum of the frequencies of a codebook."""


class CodesCoder(ABC):
    """Codes of some frames to bytes and back; calls are independent.

    Attributes:
        number: identifier of the coder in a file.
        name: name of the coder on the command line.
        fingerprint: checksum of all that must be equal on both sides, including the arithmetic; 0 where nothing must.
    """

    number: ClassVar[int]
    name: ClassVar[str]
    fingerprint: int = 0

    @abstractmethod
    def encode(self, codes: Array) -> bytes:
        """Codes ``[K, T]`` to bytes."""

    @abstractmethod
    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """The codes ``[K, T]`` from the bytes of ``encode``.

        Raises:
            ValueError: the bytes are not those of such codes.
        """

    def decode_chunks(self, chunks: Sequence[tuple[bytes, int]], n_codebooks: int) -> list[Array | ValueError]:
        """The codes of each of several calls of ``encode``, or the error in its bytes.

        Args:
            chunks: bytes and number of frames of each call.
            n_codebooks: number of codebooks of all calls.
        """
        decoded: list[Array | ValueError] = []
        for data, frames in chunks:
            try:
                decoded.append(self.decode(data, n_codebooks, frames))
            except ValueError as error:
                decoded.append(error)
        return decoded

    @abstractmethod
    def bits(self, codes: Array) -> float:
        """Bits that ``encode`` needs for codes ``[K, T]``, without the padding of the last byte."""


class PackedCoder(CodesCoder):
    """Each code in the bits of its codebook's size; sizes that are not powers of two share bits (``TableCoder``).

    Args:
        sizes: entries of each codebook, most significant first.
    """

    number = 0
    name = "none"

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        even = all(size & (size - 1) == 0 for size in sizes)
        self._table = None if even else TableCoder([np.ones(size, dtype=np.int64) for size in sizes])

    def encode(self, codes: Array) -> bytes:
        """See ``CodesCoder``."""
        if self._table is not None:
            return self._table.encode(codes)
        widths = self._widths(len(codes))
        bits = [(row[:, None] >> np.arange(width)) & 1 for row, width in zip(codes, widths, strict=True)]
        return pack(np.concatenate(bits, axis=1).reshape(-1), 1)

    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """See ``CodesCoder``."""
        if self._table is not None:
            return self._table.decode(data, n_codebooks, frames)
        widths = self._widths(n_codebooks)
        # Check the number of bytes first, so that a file cannot claim a size and have memory allocated for it.
        size = packed_size(1, sum(widths) * frames)
        if len(data) != size:
            take = f"{counted(frames, 'frame')} {by_number(frames, 'takes', 'take')}"
            raise ValueError(f"{take} {counted(size, 'byte')}; there are {len(data)}")
        bits = unpack(data, 1, sum(widths) * frames).reshape(frames, sum(widths))
        columns = np.split(bits, np.cumsum(widths)[:-1], axis=1)
        return np.stack([(column << np.arange(column.shape[1])).sum(1) for column in columns])

    def bits(self, codes: Array) -> float:
        """See ``CodesCoder``."""
        if self._table is not None:
            return self._table.bits(codes)
        return float(sum(self._widths(codes.shape[0])) * codes.shape[1])

    def _widths(self, n_codebooks: int) -> list[int]:
        return [(size - 1).bit_length() for size in self.sizes[:n_codebooks]]


class TableCoder(CodesCoder):
    """Arithmetic coding of each codebook's codes with fixed frequencies.

    Args:
        counts: number of times that each entry occurred, integers ``[size]`` per codebook; one is added to each.
    """

    number = 1
    name = "static"

    def __init__(self, counts: Sequence[Array]) -> None:
        # Entry ``s`` has the range from the value before it to its own.
        self.tables = [frequencies(row).cumsum(-1) for row in counts]
        self.fingerprint = crc32(b"".join(table.astype("<i8").tobytes() for table in self.tables))

    def encode(self, codes: Array) -> bytes:
        """See ``CodesCoder``."""
        coder = ArithmeticEncoder()
        tables = self._lists(len(codes))
        for frame in codes.T.tolist():
            for symbol, table in zip(frame, tables, strict=True):
                coder.encode(symbol, table)
        return coder.finish()

    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """See ``CodesCoder``."""
        coder = ArithmeticDecoder(data)
        tables = self._lists(n_codebooks)
        codes = [[coder.decode(table) for table in tables] for _ in range(frames)]
        if coder.finish() != len(data):
            raise ValueError("bytes follow the end of the codes")
        return np.array(codes, dtype=np.int64).reshape(frames, n_codebooks).T

    def bits(self, codes: Array) -> float:
        """See ``CodesCoder``."""
        shares = [np.diff(table, prepend=0)[row] / TOTAL for table, row in zip(self.tables, codes, strict=False)]
        return float(-np.log2(np.stack(shares)).sum())

    def _lists(self, n_codebooks: int) -> list[list[int]]:
        return [table.tolist() for table in self.tables[:n_codebooks]]


class PriorCoder(TableCoder):
    """The codes of a quantizer that learns their probabilities (``Quantizer.log_prior``).

    Args:
        log_prior: natural log-probabilities ``[K, size]``.
    """

    number = 2
    name = "prior"

    def __init__(self, log_prior: NDArray[np.float64]) -> None:
        shares = np.exp(log_prior - log_prior.max(-1, keepdims=True))
        super().__init__(list(np.rint(shares / shares.sum(-1, keepdims=True) * TOTAL).astype(np.int64)))


def frequencies(counts: Array) -> Array:
    """Counts ``[..., size]`` as frequencies of at least 1 that sum to ``TOTAL``, in integer arithmetic.

    An entry gets ``1 + floor(count * (TOTAL - size) / sum)``. The most frequent one also gets the remainder.

    Args:
        counts: counts of at least 0 with a sum below ``2^38``, so that products fit into 64 bits.
    """
    size = counts.shape[-1]
    smoothed = counts + 1
    shares = 1 + smoothed * (TOTAL - size) // smoothed.sum(-1, keepdims=True)
    remainder = TOTAL - shares.sum(-1, keepdims=True)
    best = shares.argmax(-1)[..., None]
    np.put_along_axis(shares, best, np.take_along_axis(shares, best, -1) + remainder, -1)
    return shares
