"""The contract that every reconstruction loss fulfils."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from codeclab.quantizers.tensor_input import takes_tensors


class ReconstructionLoss(nn.Module, ABC):
    """A distance between generated and real audio, in float32 under any autocast.

    It is a mean over the batch, so that the mean over processes of local values is the value on the global batch.

    Attributes:
        channels: required number of audio channels; None allows any.
        sample_rate: required sampling rate of the audio, Hz; None allows any.
    """

    channels: int | None = None
    sample_rate: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, forward=("[B, C, N]", "[B, C, N]"))

    @abstractmethod
    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar."""
