"""The contract every discriminator keeps."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


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

    @abstractmethod
    def forward(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N]`` to one ``Judgement`` per sub-network, always in the same order."""
