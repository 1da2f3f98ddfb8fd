"""What every layer of a stream keeps to."""

from abc import ABC, abstractmethod

from torch import Tensor


class NotStreamableError(ValueError):
    """Of a codec that cannot be streamed; the message says what stands in the way."""


class LayerStream(ABC):
    """One stream through one layer: its state between pieces, of bounded size.

    State is cloned: a view of the last steps would keep all of their piece in memory.
    """

    @abstractmethod
    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """What is ready after another piece.

        Args:
            x: ``[B, C, n]``; ``n`` may be 0.
            last: whether the input ends with this piece.

        Returns:
            ``[B, C', m]``, the next outputs; ``m`` may be 0.
        """
