"""The contract every reconstruction loss keeps."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from codeclab.quantizers.tensor_input import takes_tensors


class ReconstructionLoss(nn.Module, ABC):
    """A distance between generated and real audio, in float32 under any autocast.

    It is a mean over the batch: the mean over processes of their local values is the value on the joined batch.

    Attributes:
        channels: how many the audio has to have; None takes any number.
    """

    channels: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, forward=("[B, C, N]", "[B, C, N]"))

    @abstractmethod
    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Audio ``[B, C, N]`` twice to a scalar."""
