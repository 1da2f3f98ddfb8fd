"""The state of the integer language model (``integer_model``) between time steps: cached keys and values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attended = tuple[NDArray[Any], ...]
"""Keys ``[B, H, T, D / H]``, key scales ``[B, 1, T, 1]`` and values ``[B, H, T, D / H]`` of ``T`` time steps."""


class Cache:
    """Keys and values of the last time steps of one layer, to which the next ones attend.

    They lie in a buffer with spare room at its end. New steps are written behind the old ones, and the first valid
    position moves on. Only when the room is used up are the valid steps copied to the beginning of a new buffer.

    Args:
        start: keys and values of the step before the first, for one sequence.
        context: largest number of cached time steps.
        sequences: number of sequences that are coded in parallel.
    """

    def __init__(self, start: Attended, context: int, sequences: int) -> None:
        self._context = context
        self._buffer: Attended = tuple(np.repeat(part, sequences, axis=0) for part in start)
        self._first, self._end = 0, 1

    @property
    def steps(self) -> int:
        """Number of cached time steps."""
        return self._end - self._first

    def extend(self, new: Attended) -> Attended:
        """Append ``n`` new time steps; returns the cached steps and these. The last ``context`` of both stay cached."""
        count = new[0].shape[2]
        if self._end + count > self._buffer[0].shape[2]:
            # Leave room for as many single steps as the context has, so that the copy is rare.
            past, self._first, self._end = self._cached(), 0, self._end - self._first
            capacity = self._end + max(count, self._context)
            self._buffer = tuple(np.empty((*part.shape[:2], capacity, part.shape[3]), part.dtype) for part in past)
            for part, old in zip(self._buffer, past, strict=True):
                part[:, :, : self._end] = old
        for part, added in zip(self._buffer, new, strict=True):
            part[:, :, self._end : self._end + count] = added
        self._end += count
        attended = self._cached()
        self._first = max(self._first, self._end - self._context)
        return attended

    def shorten(self, sequences: int) -> None:
        """Drop all but the first ``sequences`` sequences."""
        self._buffer = tuple(part[:sequences] for part in self._buffer)

    def _cached(self) -> Attended:
        return tuple(part[:, :, self._first : self._end] for part in self._buffer)


@dataclass
class IntegerState:
    """The state between time steps of sequences that are coded in parallel.

    Attributes:
        caches: cache of each layer.
        position: index of the next time step.
    """

    caches: list[Cache]
    position: int = 0

    def shorten(self, sequences: int) -> None:
        """Drop all but the first ``sequences`` sequences."""
        for cache in self.caches:
            cache.shorten(sequences)
