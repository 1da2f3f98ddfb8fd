"""The contract that every encoder and decoder fulfils; and what lives in this folder, which has no ``__init__.py``.

``codec`` joins encoder, quantizer and decoder; ``seanet``, ``dac`` and ``vocos`` are encoders and decoders, and a new
one is a file beside them. ``layers`` has their layers, ``io`` reads and writes saved codecs, ``engines`` exports
networks, ``entropy`` codes files. A package ``codecs`` would shadow the standard library's module of this name where
the folder above is on the path of imports.

May import: codecs.layers, quantizers.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.wording import counted
from codeclab.quantizers.base import Quantizer
from codeclab.quantizers.tensor_input import takes_tensors


class Network(nn.Module, ABC):
    """Encoder or decoder of a codec: a torch module whose class states the shape of its input."""

    _takes: ClassVar[str]
    """Shape of the input, for messages."""

    dimension: int
    channels: int
    strides: Sequence[int]
    hop_length: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "stream" not in vars(cls):  # an inherited stream would compute something else
            cls.stream = Network.stream  # type: ignore[method-assign]
        takes_tensors(cls, forward=(cls._takes,))

    def stream(self) -> LayerStream:
        """A new stream through the network, which takes its input in pieces.

        Raises:
            NotStreamableError: the network cannot be streamed.
        """
        raise NotStreamableError(f"{type(self).__name__} has no stream; define a method stream()")


class Encoder(Network):
    """Audio ``[B, C, N]`` to a latent ``[B, D, T]``, ``T = ceil(N / hop_length)``.

    Attributes:
        dimension: latent channels ``D``.
        channels: audio channels ``C``.
        strides: downsampling factors, in encoder order.
        hop_length: samples per latent frame, the product of ``strides``.
    """

    _takes = "[B, C, N]"

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, D, T]``."""


class Decoder(Network):
    """A latent ``[B, D, T]`` to audio ``[B, C, N]``.

    Attributes:
        dimension: latent channels ``D``.
        channels: audio channels ``C``.
        strides: upsampling factors, in ENCODER order; the decoder applies them in reverse.
        hop_length: samples per latent frame, the product of ``strides``.
    """

    _takes = "[B, D, T]"

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to ``[B, C, T * hop_length]`` (the caller trims to the input's length)."""


def check_sizes(strides: Sequence[int], **sizes: int) -> None:
    """Refuse sizes with which no layers can be built.

    Args:
        strides: factors of down- or upsampling.
        sizes: numbers of channels and other sizes, by the name of the argument.

    Raises:
        ValueError: there are no strides, or a stride or a size is below 1.
    """
    if not strides or min(strides) < 1:
        raise ValueError(
            f"strides are {list(strides)}; they should be one or more factors of at least 1, as in [2, 4, 5, 8]"
        )
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}; it should be at least 1")


def check_parts(encoder: Encoder, quantizer: Quantizer, decoder: Decoder) -> None:
    """Refuse parts that do not fit together.

    Raises:
        ValueError: the parts differ in strides, dimension, channels or hop; the message says which.
    """
    if list(encoder.strides) != list(decoder.strides):
        raise ValueError(
            f"the encoder's strides are {list(encoder.strides)} and the decoder's {list(decoder.strides)}; "
            "both are written in encoder order and should be the same"
        )
    for name, part in (("quantizer", quantizer), ("decoder", decoder)):
        if part.dimension != encoder.dimension:
            raise ValueError(
                f"the encoder's dimension is {encoder.dimension} and the {name}'s {part.dimension}; "
                "they should be the same"
            )
    if encoder.channels != decoder.channels:
        raise ValueError(
            f"the encoder takes {counted(encoder.channels, 'channel')} and the decoder gives {decoder.channels}; "
            "they should be the same"
        )
    for end in (encoder, decoder):
        if end.hop_length != math.prod(end.strides):
            raise ValueError(
                f"the hop_length of {type(end).__name__} is {end.hop_length}; with strides {list(end.strides)} it "
                f"should be {math.prod(end.strides)}"
            )


def check_float32(codec: nn.Module) -> None:
    """Refuse a codec that was cast to another type: quantizers and their distances are float32.

    Raises:
        ValueError: the weights are of another type; the message names alternatives.
    """
    kind = next(codec.parameters()).dtype
    if kind != torch.float32:
        name = str(kind).removeprefix("torch.")
        raise ValueError(
            f"this codec was cast to {name}, but its quantizer computes in float32: call .float() on it. "
            "save(folder, half=True) halves the file, and to_bf16() halves the precision of the networks"
        )
