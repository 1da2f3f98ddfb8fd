"""Integers of any width packed into bytes, the least significant bit first (EnCodec's released code)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.wording import by_number, counted

WIDEST = 62
"""Largest width in bits; such numbers fit into an int64."""


def packed_size(width: int, count: int) -> int:
    """Bytes that ``count`` numbers of ``width`` bits take.

    Raises:
        ValueError: the width is not in 1 to 62 bits.
    """
    if not 1 <= width <= WIDEST:
        raise ValueError(f"the width is {width} bits; it should be 1 to {WIDEST}")
    return -(-width * count // 8)


def pack(values: Sequence[int] | NDArray[np.int64], width: int) -> bytes:
    """Numbers in sequence, the first in the lowest bits of the first byte; zeros pad the last byte.

    Args:
        values: numbers to pack, in order.
        width: bits per number, 1 to 62.

    Raises:
        ValueError: a number does not fit into the width, or the width is not in 1 to 62 bits.
    """
    packed_size(width, 0)
    numbers = np.asarray(values, dtype=np.int64).reshape(-1)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < 1 << width:
        most = (1 << width) - 1
        raise ValueError(f"numbers from {numbers.min()} to {numbers.max()} do not fit {width} bits; 0 to {most} do")
    bits = (numbers[:, None] >> np.arange(width)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def unpack(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """The numbers from the bytes of ``pack``.

    Args:
        data: bytes of these numbers, and no others.
        width: bits per number, 1 to 62.
        count: number of numbers.

    Raises:
        ValueError: the number of bytes is wrong, or the padding bits at the end are not zero.
    """
    size = packed_size(width, count)
    if len(data) != size:
        numbers, take = counted(count, "number"), by_number(count, "takes", "take")
        raise ValueError(f"{numbers} of {width} bits {take} {counted(size, 'byte')}; there are {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    if bits[width * count :].any():
        raise ValueError("padding bits of the last byte are set; they should be zero")
    columns = bits[: width * count].reshape(count, width).astype(np.int64)
    return (columns << np.arange(width)).sum(1)
