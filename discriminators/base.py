"""The contract every discriminator keeps."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


class Judgement(NamedTuple):
    """One sub-network's opinion of a batch of audio.

    Attributes:
        logits: unbounded scores, any shape with the batch first; higher means more real.
        features: the feature maps the feature-matching loss compares, without the logits; the batch first, too.
    """

    logits: Tensor
    features: list[Tensor]


class Discriminator(nn.Module, ABC):
    """Judges audio ``[B, C, N]`` with one or more sub-networks, each item by itself.

    Real and coded audio may share a batch: a judgement must not depend on the other items.
    """

    @abstractmethod
    def forward(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N]`` to one ``Judgement`` per sub-network, always in the same order."""
