"""The contract that every layer of a stream fulfils."""

from abc import ABC, abstractmethod

from torch import Tensor


class NotStreamableError(ValueError):
    """A codec cannot be streamed; the message says why."""


class NotCausalError(NotStreamableError):
    """A codec can only be streamed with a delay, which nobody has accepted.

    Args:
        samples: number of later samples that a sample depends on.
        sample_rate: Hz.
    """

    def __init__(self, samples: int, sample_rate: int) -> None:
        super().__init__(samples, sample_rate)
        self.samples = samples
        self.sample_rate = sample_rate

    def __str__(self) -> str:
        return self.message("codec.stream(…, lookahead=True)")

    def message(self, option: str) -> str:
        """The message, with the option by which a delay is accepted."""
        ms = 1000 * self.samples / self.sample_rate
        return (
            f"the codec is not causal: a sample depends on {self.samples} later ones, {ms:.0f} ms. Build it causal or "
            f"with segments, or accept that delay: {option}"
        )


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
            the next outputs ``[B, C', m]``; ``m`` may be 0.
        """
