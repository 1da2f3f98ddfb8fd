"""The contract that every layer of a stream fulfils."""

from abc import ABC, abstractmethod

from torch import Tensor


class NotStreamableError(ValueError):
    """A codec cannot be streamed; the message says why."""


class LayerStream(ABC):
    """One stream through one layer: the layer, and its state between pieces of input, which is of bounded size.

    The concatenated outputs of ``push`` equal the layer's output for the concatenated input, up to rounding. State is
    cloned, because a view of a piece's last steps would keep the whole piece in memory.
    """

    @abstractmethod
    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """The outputs that are complete with another piece of input.

        Args:
            x: next piece of input ``[B, C, n]``; ``n`` may be 0.
            last: whether the input ends with this piece.

        Returns:
            The next outputs ``[B, C', m]``; ``m`` may be 0.
        """
