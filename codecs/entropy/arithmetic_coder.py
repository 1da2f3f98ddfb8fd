"""A range-based arithmetic coder with a range of 24 bits (EnCodec 3.3, "Entropy Encoding"; Rissanen & Langdon, 1981).

Encoder and decoder hold the same interval ``[low, high]`` of integers of ``pending`` bits. Before each symbol the
interval is doubled until it is at least ``2^24`` wide. It then shrinks to the symbol's part of it, which is
proportional to the symbol's probability. Leading bits that ``low`` and ``high`` have in common cannot change any more:
the encoder writes them, and both drop them. All arithmetic is on Python's integers, so the coder is the same on every
machine.
"""

from bisect import bisect_left
from collections.abc import Sequence

from torch import Tensor

from codeclab.codecs.entropy.bit_packing import pack

RANGE_BITS = 24
"""The interval is at least ``2^24`` wide when it is split (EnCodec 3.3)."""

LEAST_RANGE = 2
"""Smallest range of a symbol, of ``2^24`` (EnCodec 3.3)."""

PRECISION = 1e-8
"""Probabilities are rounded down to multiples of this, as the released code does; the paper says 1e-6."""

REVERSED = bytes(sum((byte >> bit & 1) << 7 - bit for bit in range(8)) for byte in range(256))
"""Each byte with its bits in reverse order."""

MOST_SYMBOLS = 1 << (RANGE_BITS - 2)
"""Largest number of symbols; half of the range is then left for the probabilities."""


def quantized_cdf(probabilities: Tensor) -> Tensor:
    """Probabilities as cumulative ranges: symbol ``s`` has ``cdf[s - 1]`` to ``cdf[s] - 1`` of ``2^24``.

    A symbol gets ``floor((2^24 - 2 size) p) + 2``, in float32 as in the released code. Rounding can make the sum exceed
    ``2^24``, which breaks the file there; here the excess is taken from the widest range.

    Args:
        probabilities: probabilities ``[..., size]``, which sum to 1.

    Returns:
        cumulative ranges ``int64 [..., size]``; the last may be less than ``2^24``.

    Raises:
        ValueError: there are too many symbols, or the values are not probabilities.
    """
    size, total = probabilities.shape[-1], 1 << RANGE_BITS
    if not 1 <= size <= MOST_SYMBOLS:
        raise ValueError(f"there are {size} symbols; the coder's range is for 1 to {MOST_SYMBOLS}")
    values = probabilities.detach().float()
    # NaN fails both comparisons and is refused, too.
    if not ((values >= 0).all() and ((values.sum(-1) - 1).abs() <= 1e-3).all()):
        raise ValueError("probabilities should be at least 0 and sum to 1; some do not")
    rounded = (values / PRECISION).floor() * PRECISION
    ranges = ((1 - LEAST_RANGE * size / total) * total * rounded).floor().long() + LEAST_RANGE
    excess = (ranges.sum(-1, keepdim=True) - total).clamp(min=0)
    return ranges.scatter_add(-1, ranges.argmax(-1, keepdim=True), -excess).cumsum(-1)


class _Interval:
    """The state that encoder and decoder share."""

    def __init__(self) -> None:
        self.low = 0
        self.high = 0
        self.pending = 0  # bits of ``low`` and ``high``, which can still change

    def _widen(self) -> int:
        """Double the interval until it is at least ``2^24`` wide; returns how often."""
        width = self.high - self.low + 1
        times = max(RANGE_BITS + 1 - width.bit_length(), 0)
        self.low <<= times
        self.high = ((self.high + 1) << times) - 1
        self.pending += times
        return times

    def _first(self, start: int) -> int:
        """The first integer of the interval in a range from ``start`` on, ``low + ceil(start * width / 2^24)``."""
        return self.low - (-start * (self.high - self.low + 1) >> RANGE_BITS)

    def _last(self, end: int) -> int:
        """The last integer of the interval in a range before ``end``, ``low + floor((end - 1) * width / 2^24)``."""
        return self.low + ((end - 1) * (self.high - self.low + 1) >> RANGE_BITS)

    def _narrow(self, symbol: int, cdf: Sequence[int]) -> int:
        """Shrink to a symbol's part; returns how many low bits still differ between ``low`` and ``high``."""
        start = int(cdf[symbol - 1]) if symbol else 0
        self.low, self.high = self._first(start), self._last(int(cdf[symbol]))
        return (self.low ^ self.high).bit_length()

    def _settle(self, open_bits: int) -> None:
        """Drop the leading bits, which are final."""
        mask = (1 << open_bits) - 1
        self.low, self.high, self.pending = self.low & mask, self.high & mask, open_bits


class ArithmeticEncoder(_Interval):
    """Symbols to bytes, each by its own probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self._bits: list[int] = []

    def encode(self, symbol: int, cdf: Sequence[int]) -> None:
        """Add a symbol.

        Args:
            symbol: index of the symbol, from 0.
            cdf: cumulative ranges, a row of ``quantized_cdf``.

        Raises:
            ValueError: ``symbol`` is not below the length of ``cdf``.
        """
        if not 0 <= symbol < len(cdf):
            raise ValueError(f"the symbol is {symbol}; it should be 0 to {len(cdf) - 1}")
        self._widen()
        open_bits = self._narrow(symbol, cdf)
        self._bits += [self.low >> bit & 1 for bit in range(self.pending - 1, open_bits - 1, -1)]
        self._settle(open_bits)

    def finish(self) -> bytes:
        """All bytes: final bits, then those of the smallest integer of the interval, then zeros up to a whole byte."""
        rest = [self.low >> bit & 1 for bit in range(self.pending - 1, -1, -1)]
        return pack(self._bits + rest, 1)


class ArithmeticDecoder(_Interval):
    """Bytes of an ``ArithmeticEncoder`` to symbols.

    Args:
        data: bytes that contain the encoder's bytes; others may follow them.
        start: position in ``data`` where the encoder's bytes begin.
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
            cdf: cumulative ranges with which the symbol was encoded.

        Raises:
            ValueError: the data end too early, or no encoder writes them with these probabilities.
        """
        doublings = self._widen()
        self._current = self._current << doublings | self._next_bits(doublings)
        # The symbol is the first whose ``_last`` is not below the current number. ``_last(end) >= current`` holds where
        # (end - 1) * width >= ahead * 2^24, hence where end >= 1 + ceil(ahead * 2^24 / width).
        width, ahead = self.high - self.low + 1, self._current - self.low
        symbol = bisect_left(cdf, 1 - (-ahead << RANGE_BITS) // width)
        if symbol == len(cdf) or self._current < self._first(int(cdf[symbol - 1]) if symbol else 0):
            raise ValueError("the arithmetic code is damaged, or was written with other probabilities")
        self._settle(self._narrow(symbol, cdf))
        self._current &= (1 << self.pending) - 1
        return symbol

    def finish(self) -> int:
        """The position in ``data`` where the encoder's bytes end.

        Raises:
            ValueError: the last bits are not those with which an encoder ends.
        """
        filling = -self._read % 8
        if self._current != self.low or self._next_bits(filling):
            raise ValueError("the arithmetic code is damaged, or was written with other probabilities: it ends wrongly")
        return self._start + self._read // 8

    def _next_bits(self, count: int) -> int:
        """The next ``count`` bits as an integer, the first as the highest. In each byte the first bit is the lowest."""
        first, end = self._start + self._read // 8, self._start + (self._read + count + 7) // 8
        if end > len(self._data):
            raise ValueError("the arithmetic code ends too early")
        bits = int.from_bytes(self._data[first:end].translate(REVERSED), "big")
        unused = 8 * (end - first) - self._read % 8 - count
        self._read += count
        return bits >> unused & (1 << count) - 1
