"""What the host decides about a batch before the device works on it."""

from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepChoices:
    """The decisions about a batch, each a function of the seed and the batch.

    Attributes:
        n_codebooks: the quantizer's ``n_codebooks`` for each part of the batch: None (all), one number, or
            ``int64 [B]`` on the CPU.
        quantize: whether the quantizer has joined.
        ensemble: index of the ensemble of discriminators; None before they join, or without any.
        warming: whether only the discriminators learn.
        discriminators_learn: whether the discriminators learn.
    """

    n_codebooks: list[int | Tensor | None]
    quantize: bool
    ensemble: int | None
    warming: bool
    discriminators_learn: bool

    @property
    def key(self) -> Hashable:
        """Equal for batches on which the device does the same work; items' numbers of codebooks may differ."""
        most = [("items", int(n.max())) if isinstance(n, Tensor) else ("batch", n) for n in self.n_codebooks]
        return (*most, self.quantize, self.ensemble, self.warming, self.discriminators_learn)
