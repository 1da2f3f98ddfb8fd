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
