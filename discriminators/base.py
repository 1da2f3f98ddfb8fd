"""The contract every discriminator keeps."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor, nn

from codeclab.quantizers.tensor_input import takes_tensors


class Judgement(NamedTuple):
    """One sub-network's opinion of a batch of audio.

    Attributes:
        logits: unbounded scores, any shape with the batch first; higher means more real.
        features: the feature maps the feature-matching loss compares, without the logits.
    """

    logits: Tensor
    features: list[Tensor]


class Discriminator(nn.Module, ABC):
    """Judges audio ``[B, C, N]`` with one or more sub-networks."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, forward=("[B, C, N]",))

    @abstractmethod
    def forward(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N]`` to one ``Judgement`` per sub-network, always in the same order."""
