"""Ways from codes to bytes and back: packed, or in fewer bits where their frequencies are known."""

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
"""What the frequencies of a codebook sum to."""


class CodesCoder(ABC):
    """Codes of some frames to bytes and back, each call on its own.

    Attributes:
        number: which says in a file how its codes are coded.
        name: what the command line calls it.
        fingerprint: of all that has to be alike on both sides, its arithmetic included; 0 where nothing has.
    """

    number: ClassVar[int]
    name: ClassVar[str]
    fingerprint: int = 0

    @abstractmethod
    def encode(self, codes: Array) -> bytes:
        """Codes ``[K, T]`` to bytes."""

    @abstractmethod
    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """The codes ``[K, T]`` that ``encode`` made these bytes of.

        Raises:
            ValueError: the bytes are no such codes.
        """

    def decode_chunks(self, chunks: Sequence[tuple[bytes, int]], n_codebooks: int) -> list[Array | ValueError]:
        """Of several calls of ``encode``, each one's codes or what is wrong with its bytes.

        Args:
            chunks: bytes and frames of each.
            n_codebooks: of all.
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
        """Bits that ``encode`` spends on codes ``[K, T]``, without filling up the last byte."""


class PackedCoder(CodesCoder):
    """Each code in the bits of its codebook's size; sizes that are no powers of two share bits (``TableCoder``).

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
        return pack(np.concatenate(self._split(codes), axis=1).reshape(-1), 1)

    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """See ``CodesCoder``."""
        if self._table is not None:
            return self._table.decode(data, n_codebooks, frames)
        widths = self._widths(n_codebooks)
        # Nothing of the claimed size is made before the bytes are known to be there.
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

    def _split(self, codes: Array) -> list[Array]:
        """The bits of each codebook's codes, ``[T, width]``."""
        return [
            (row[:, None] >> np.arange(width)) & 1 for row, width in zip(codes, self._widths(len(codes)), strict=True)
        ]


class TableCoder(CodesCoder):
    """Each codebook's codes by frequencies that never change.

    Args:
        counts: how often each entry was seen, whole numbers ``[size]`` a codebook; one is added to each.
    """

    number = 1
    name = "static"

    def __init__(self, counts: Sequence[Array]) -> None:
        self.tables = [cumulative(frequencies(row)) for row in counts]
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
        found = [[coder.decode(table) for table in tables] for _ in range(frames)]
        if coder.finish() != len(data):
            raise ValueError("bytes follow the end of the codes")
        return np.array(found, dtype=np.int64).reshape(frames, n_codebooks).T

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
    """Counts ``[..., size]`` as frequencies of at least 1 that sum to ``TOTAL``, by whole numbers alone.

    An entry gets ``1 + floor(count * (TOTAL - size) / sum)``, the most frequent one what is left over.

    Args:
        counts: at least 0, below ``2^38`` in sum.
    """
    size = counts.shape[-1]
    seen = counts + 1
    shares = 1 + seen * (TOTAL - size) // seen.sum(-1, keepdims=True)
    left = TOTAL - shares.sum(-1, keepdims=True)
    best = shares.argmax(-1)[..., None]
    np.put_along_axis(shares, best, np.take_along_axis(shares, best, -1) + left, -1)
    return shares


def cumulative(shares: Array) -> Array:
    """Frequencies as the arithmetic coder takes them: entry ``s`` owns from the value before up to its own."""
    return shares.cumsum(-1)
