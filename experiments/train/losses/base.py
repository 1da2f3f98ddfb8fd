"""The contract every reconstruction loss keeps."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class ReconstructionLoss(nn.Module, ABC):
    """A distance between generated and real audio, in float32 under any autocast.

    It is a mean over the batch: the mean over processes of their local values is the value on the joined batch.

    Attributes:
        channels: how many the audio has to have; None takes any number.
    """

    channels: int | None = None

    @abstractmethod
    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Audio ``[B, C, N]`` twice to a scalar."""
