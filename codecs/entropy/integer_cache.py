"""What the language model in whole numbers (``integer_model``) keeps between time steps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attended = tuple[NDArray[Any], ...]
"""Keys ``[B, H, T, D / H]``, their scales ``[B, 1, T, 1]``, and values ``[B, H, T, D / H]`` of time steps."""


class Cache:
    """What the next time steps may attend to in one layer.

    Args:
        start: of the step before the first, of one sequence.
        context: most time steps that are kept.
        sequences: coded side by side.
    """

    def __init__(self, start: Attended, context: int, sequences: int) -> None:
        self._context = context
        self._room: Attended = tuple(np.repeat(part, sequences, axis=0) for part in start)
        self._first, self._end = 0, 1

    @property
    def steps(self) -> int:
        """Time steps that are kept."""
        return self._end - self._first

    def extend(self, following: Attended) -> Attended:
        """What is kept, and the ``n`` time steps that follow; the last ``context`` of both are kept from then on."""
        count = following[0].shape[2]
        if self._end + count > self._room[0].shape[2]:
            # Room for many single steps, so that the past is seldom copied.
            past, self._first, self._end = self._kept(), 0, self._end - self._first
            room = self._end + max(count, self._context)
            self._room = tuple(np.empty((*part.shape[:2], room, part.shape[3]), part.dtype) for part in past)
            for part, old in zip(self._room, past, strict=True):
                part[:, :, : self._end] = old
        for part, new in zip(self._room, following, strict=True):
            part[:, :, self._end : self._end + count] = new
        self._end += count
        attended = self._kept()
        self._first = max(self._first, self._end - self._context)
        return attended

    def shorten(self, sequences: int) -> None:
        """Keep the first ``sequences`` alone."""
        self._room = tuple(part[:sequences] for part in self._room)

    def _kept(self) -> Attended:
        return tuple(part[:, :, self._first : self._end] for part in self._room)


@dataclass
class IntegerState:
    """What is kept between time steps of sequences that are coded side by side.

    Attributes:
        caches: of each layer.
        position: time step of the next codes.
    """

    caches: list[Cache]
    position: int = 0

    def shorten(self, sequences: int) -> None:
        """Go on with the first ``sequences`` alone."""
        for cache in self.caches:
            cache.shorten(sequences)
