"""The contract that every discriminator fulfils."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple
from warnings import warn

from torch import Tensor, nn

from codeclab.quantizers.tensor_input import takes_tensors


class DiscriminatorOutput(NamedTuple):
    """The output of one sub-network for a batch of audio.

    Attributes:
        logits: unbounded scores, ``[B, ...]``; higher means more real.
        features: feature maps ``[B, ...]`` that the feature-matching loss compares, without the logits.
    """

    logits: Tensor
    features: list[Tensor]


class Discriminator(nn.Module, ABC):
    """One or more sub-networks that tell real audio ``[B, C, N]`` from generated audio."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, forward=("[B, C, N]",))

    @abstractmethod
    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one ``DiscriminatorOutput`` per sub-network, always in the same order."""


def __getattr__(name: str) -> Any:
    """``DiscriminatorOutput`` under its name before 0.2: runs keep the files of their users' own discriminators."""
    if name == "Judgement":
        warn(
            "Judgement is called DiscriminatorOutput since 0.2; "
            "write from codeclab.discriminators.base import DiscriminatorOutput",
            FutureWarning,
            stacklevel=2,
        )
        return DiscriminatorOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
