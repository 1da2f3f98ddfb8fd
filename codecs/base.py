"""The contract every encoder and decoder keeps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Audio ``[B, C, N]`` to a latent ``[B, D, T]``, ``T = ceil(N / hop_length)``.

    Attributes:
        dimension: latent channels ``D``.
        channels: audio channels ``C``.
        strides: downsampling factors, in encoder order.
        hop_length: samples per latent frame, the product of ``strides``.
    """

    dimension: int
    channels: int
    strides: Sequence[int]
    hop_length: int

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, D, T]``."""


class Decoder(nn.Module, ABC):
    """A latent ``[B, D, T]`` to audio ``[B, C, N]``.

    Attributes:
        dimension: latent channels ``D``.
        channels: audio channels ``C``.
        strides: upsampling factors, written in ENCODER order; the decoder walks them reversed.
        hop_length: samples per latent frame, the product of ``strides``.
    """

    dimension: int
    channels: int
    strides: Sequence[int]
    hop_length: int

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to ``[B, C, T * hop_length]`` (the caller trims to the input's length)."""


def check_sizes(strides: Sequence[int], **sizes: int) -> None:
    """Refuse sizes that make no layers.

    Args:
        strides: factors of a change of rate.
        sizes: counts of channels and the like, by the name of their argument.

    Raises:
        ValueError: no strides, or a stride or a size below 1.
    """
    if not strides or min(strides) < 1:
        raise ValueError(f"strides are {list(strides)}; right are one or more factors of at least 1, as [2, 4, 5, 8]")
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}; it should be at least 1")
