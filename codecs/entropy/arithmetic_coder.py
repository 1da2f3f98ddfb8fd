"""A range-based arithmetic coder with a range of 24 bits (EnCodec 3.3, "Entropy Encoding"; Rissanen & Langdon, 1981).

Encoder and decoder hold the same interval ``[low, high]`` of whole numbers, written with ``pending`` bits. Before each
symbol it is doubled until it is at least ``2^24`` wide; then it shrinks to the symbol's share, and bits that both ends
have in common are final. All arithmetic is on Python's whole numbers, so the coder itself is the same on every machine.
"""

from bisect import bisect_left
from collections.abc import Sequence

from torch import Tensor

from codeclab.codecs.entropy.bit_packing import pack

RANGE_BITS = 24
"""The interval is at least ``2^24`` wide when it is split (EnCodec 3.3)."""

LEAST_RANGE = 2
"""What each symbol owns of ``2^24`` at least (EnCodec 3.3)."""

PRECISION = 1e-8
"""Probabilities are rounded down to multiples of this, as the released code does; the paper says 1e-6."""

REVERSED = bytes(sum((byte >> place & 1) << 7 - place for place in range(8)) for byte in range(256))
"""Each byte with its bits in the other order."""

MOST_SYMBOLS = 1 << (RANGE_BITS - 2)
"""Alphabets are this large at most, so that half the range is left to the probabilities."""


def quantized_cdf(probabilities: Tensor) -> Tensor:
    """Probabilities as cumulative ranges: symbol ``s`` owns ``cdf[s - 1]`` to ``cdf[s] - 1`` of ``2^24``.

    A symbol gets ``floor((2^24 - 2 size) p) + 2``, in float32 as in the released code. What rounding gives beyond
    ``2^24``, which there breaks the file, the widest range goes without.

    Args:
        probabilities: ``[..., size]``, which sum to 1.

    Returns:
        ``int64 [..., size]``; the last may be less than ``2^24``.

    Raises:
        ValueError: too many symbols, or values that are no probabilities.
    """
    size, total = probabilities.shape[-1], 1 << RANGE_BITS
    if not 1 <= size <= MOST_SYMBOLS:
        raise ValueError(f"there are {size} symbols; the coder's range is for 1 to {MOST_SYMBOLS}")
    values = probabilities.detach().float()
    # NaN fails both comparisons.
    if not ((values >= 0).all() and ((values.sum(-1) - 1).abs() <= 1e-3).all()):
        raise ValueError("probabilities should be at least 0 and sum to 1; some do not")
    rounded = (values / PRECISION).floor() * PRECISION
    ranges = ((1 - LEAST_RANGE * size / total) * total * rounded).floor().long() + LEAST_RANGE
    excess = (ranges.sum(-1, keepdim=True) - total).clamp(min=0)
    return ranges.scatter_add(-1, ranges.argmax(-1, keepdim=True), -excess).cumsum(-1)


class _Interval:
    """What encoder and decoder keep alike.

    Attributes:
        low: least number of the interval.
        high: greatest number of the interval.
        pending: bits these numbers are written with, which are not final yet.
    """

    def __init__(self) -> None:
        self.low = 0
        self.high = 0
        self.pending = 0

    def _doublings(self) -> int:
        """How often the interval is doubled until it is ``2^24`` wide."""
        width = self.high - self.low + 1
        return max(RANGE_BITS + 1 - width.bit_length(), 0)

    def _double(self, times: int) -> None:
        self.low <<= times
        self.high = ((self.high + 1) << times) - 1
        self.pending += times

    def _first(self, start: int) -> int:
        """The first number of the interval that a share from ``start`` on has."""
        return self.low - (-start * (self.high - self.low + 1) >> RANGE_BITS)

    def _last(self, end: int) -> int:
        """The last number of the interval that a share before ``end`` has."""
        return self.low + ((end - 1) * (self.high - self.low + 1) >> RANGE_BITS)

    def _narrow(self, symbol: int, cdf: Sequence[int]) -> int:
        """Shrink to a symbol's share; how many of the ``pending`` bits are still open, the others being final."""
        start = int(cdf[symbol - 1]) if symbol else 0
        self.low, self.high = self._first(start), self._last(int(cdf[symbol]))
        return (self.low ^ self.high).bit_length()

    def _settle(self, still_open: int) -> None:
        """Let go of the bits that are final."""
        mask = (1 << still_open) - 1
        self.low, self.high, self.pending = self.low & mask, self.high & mask, still_open


class ArithmeticEncoder(_Interval):
    """Symbols to bytes, each by its own probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self._bits: list[int] = []

    def encode(self, symbol: int, cdf: Sequence[int]) -> None:
        """Add a symbol.

        Args:
            symbol: from 0.
            cdf: a row of ``quantized_cdf``.

        Raises:
            ValueError: there is no such symbol.
        """
        if not 0 <= symbol < len(cdf):
            raise ValueError(f"symbol {symbol} is none of the {len(cdf)} that have probabilities")
        self._double(self._doublings())
        still_open = self._narrow(symbol, cdf)
        self._bits += [self.low >> place & 1 for place in range(self.pending - 1, still_open - 1, -1)]
        self._settle(still_open)

    def finish(self) -> bytes:
        """All bytes: final bits, then those of the least number of the interval, then zeros up to a whole byte."""
        rest = [self.low >> place & 1 for place in range(self.pending - 1, -1, -1)]
        return pack(self._bits + rest, 1)


class ArithmeticDecoder(_Interval):
    """Bytes of an ``ArithmeticEncoder`` to symbols.

    Args:
        data: which may go on after the encoder's bytes.
        start: where in ``data`` these begin, bytes.
    """

    def __init__(self, data: bytes, start: int = 0) -> None:
        super().__init__()
        self._data = data
        self._start = start
        self._read = 0
        self._current = 0

    def decode(self, cdf: Sequence[int]) -> int:
        """The next symbol.

        Args:
            cdf: the one the symbol was encoded by.

        Raises:
            ValueError: the data end too early, or are not what an encoder writes by these probabilities.
        """
        doublings = self._doublings()
        self._current = self._current << doublings | self._next_bits(doublings)
        self._double(doublings)
        # The least end of a share whose last number (``_last``) is not below the current one.
        width, ahead = self.high - self.low + 1, self._current - self.low
        symbol = bisect_left(cdf, 1 - (-ahead << RANGE_BITS) // width)
        if symbol == len(cdf) or self._current < self._first(int(cdf[symbol - 1]) if symbol else 0):
            raise ValueError("the arithmetic code is damaged, or was written by other probabilities")
        self._settle(self._narrow(symbol, cdf))
        self._current &= (1 << self.pending) - 1
        return symbol

    def finish(self) -> int:
        """Where in ``data`` the encoder's bytes end.

        Raises:
            ValueError: the last bits are not those an encoder ends with.
        """
        filling = -self._read % 8
        if self._current != self.low or self._next_bits(filling):
            raise ValueError("the arithmetic code is damaged, or was written by other probabilities: it ends wrongly")
        return self._start + self._read // 8

    def _next_bits(self, count: int) -> int:
        """The next bits, the first as the highest; each byte holds its first as the lowest."""
        first, end = self._start + self._read // 8, self._start + (self._read + count + 7) // 8
        if end > len(self._data):
            raise ValueError("the arithmetic code ends too early")
        bits = int.from_bytes(self._data[first:end].translate(REVERSED), "big")
        behind = 8 * (end - first) - self._read % 8 - count
        self._read += count
        return bits >> behind & (1 << count) - 1
