"""Whole numbers of any width packed into bytes, the least significant bit first (EnCodec's released code)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.wording import by_number, counted

WIDEST = 62
"""Bits of the widest numbers, which fit an int64."""


def packed_size(width: int, count: int) -> int:
    """Bytes that ``count`` numbers of ``width`` bits take.

    Raises:
        ValueError: the width is not 1 to 62 bits.
    """
    if not 1 <= width <= WIDEST:
        raise ValueError(f"a width of {width} bits cannot be packed; it should be 1 to {WIDEST}")
    return -(-width * count // 8)


def pack(values: Sequence[int] | NDArray[np.int64], width: int) -> bytes:
    """Numbers one after another, the first in the lowest bits of the first byte; zeros fill the last byte.

    Args:
        values: in the order to pack.
        width: bits of each.

    Raises:
        ValueError: a number does not fit the width, or the width is not 1 to 62 bits.
    """
    packed_size(width, 0)
    numbers = np.asarray(values, dtype=np.int64).reshape(-1)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < 1 << width:
        most = (1 << width) - 1
        raise ValueError(f"numbers from {numbers.min()} to {numbers.max()} do not fit {width} bits; 0 to {most} do")
    bits = (numbers[:, None] >> np.arange(width)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def unpack(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """The numbers that ``pack`` wrote.

    Args:
        data: exactly the bytes of these numbers.
        width: bits of each.
        count: how many there are.

    Raises:
        ValueError: the bytes are not as many as these numbers take, or their last bits, which fill up, are not zero.
    """
    size = packed_size(width, count)
    if len(data) != size:
        numbers, take = counted(count, "number"), by_number(count, "takes", "take")
        raise ValueError(f"{numbers} of {width} bits {take} {counted(size, 'byte')}; there are {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    if bits[width * count :].any():
        raise ValueError("bits that fill up the last byte are set, which should be zero")
    columns = bits[: width * count].reshape(count, width).astype(np.int64)
    return (columns << np.arange(width)).sum(1)
