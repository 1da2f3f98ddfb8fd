"""DAC's encoder and decoder (Kumar et al. 2023, "Improved RVQGAN", section 4.3; sizes as released)."""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codeclab.codecs.base import Decoder, Encoder, check_sizes
from codeclab.codecs.layers.activation import Activation, make_activation
from codeclab.codecs.layers.initialization import AUDIO_RMS, WeightInit, preserve_variance, zero_convolution_biases
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.streaming import Chain, PadToMultiple, Pointwise, Sum, layer_stream

DILATIONS = (1, 3, 9)
"""Dilations of the three residual units of each block."""


def conv1d(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> nn.Module:
    """A weight-normalized convolution with zero padding on both sides."""
    return weight_norm(nn.Conv1d(in_channels, out_channels, kernel_size, stride, padding, dilation))


class DACResidualUnit(nn.Module):
    """Two convolutions (7 dilated taps, then 1) with an activation before each, added to the input."""

    def __init__(self, channels: int, dilation: int, activation: Activation) -> None:
        super().__init__()
        self.body = nn.Sequential(
            make_activation(activation, channels),
            conv1d(channels, channels, 7, padding=3 * dilation, dilation=dilation),
            make_activation(activation, channels),
            conv1d(channels, channels, 1),
        )

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to the same shape."""
        return audio + self.body(audio)

    def stream(self) -> LayerStream:
        """A stream through both branches."""
        return Sum([Pointwise(nn.Identity()), layer_stream(self.body)])


def branch_ends(module: nn.Module) -> list[nn.Module]:
    """The last convolution of every residual unit in ``module``."""
    return [unit.body[-1] for unit in module.modules() if isinstance(unit, DACResidualUnit)]


class DACEncoder(Encoder):
    """Residual units and strided convolutions with Snake.

    Args:
        channels: audio channels.
        n_filters: channels after the first convolution; doubled at each downsampling.
        strides: downsampling factors, in encoder order.
        dimension: latent channels ``D``; None takes the channels of the last downsampling, as released.
        activation: activation, ``snake``, ``elu``, ``relu`` or ``leaky_relu``.
        weight_init: initial weights, ``default`` (as released) or ``variance_preserving``, which learns faster.

    Raises:
        ValueError: a size is too small to build layers; the message says which.
    """

    def __init__(
        self,
        channels: int = 1,
        n_filters: int = 64,
        strides: Sequence[int] = (2, 4, 8, 8),
        dimension: int | None = None,
        activation: Activation = "snake",
        weight_init: WeightInit = "default",
    ) -> None:
        super().__init__()
        self.channels = channels
        self.n_filters = n_filters
        self.strides = list(strides)
        self.dimension = n_filters * 2 ** len(self.strides) if dimension is None else dimension
        self.activation: Activation = activation
        self.weight_init: WeightInit = weight_init
        check_sizes(self.strides, channels=channels, n_filters=n_filters, dimension=self.dimension)
        self.hop_length = math.prod(strides)
        width = n_filters
        layers: list[nn.Module] = [conv1d(channels, width, 7, padding=3)]
        for stride in self.strides:
            layers += [DACResidualUnit(width, dilation, activation) for dilation in DILATIONS]
            layers.append(make_activation(activation, width))
            layers.append(conv1d(width, 2 * width, 2 * stride, stride, padding=math.ceil(stride / 2)))
            width *= 2
        layers += [make_activation(activation, width), conv1d(width, self.dimension, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        if weight_init == "variance_preserving":
            preserve_variance(self, activation, branch_ends(self), AUDIO_RMS)
        else:
            zero_convolution_biases(self)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, D, ceil(N / hop_length)]``; zeros complete the last hop, as released."""
        missing = -audio.shape[-1] % self.hop_length
        return self.layers(nn.functional.pad(audio, (0, missing)))

    def stream(self) -> LayerStream:
        """A stream through the layers; it lags by half of their receptive field."""
        return Chain([PadToMultiple(self.hop_length), layer_stream(self.layers)])


class DACDecoder(Decoder):
    """Transposed convolutions and residual units with Snake, and a final tanh.

    With odd strides, the released design gives fewer than ``T * hop_length`` samples: one less for each odd stride,
    times the strides after it.

    Args:
        dimension: latent channels ``D``.
        n_filters: channels after the first convolution; halved at each upsampling.
        strides: upsampling factors, in ENCODER order.
        channels: audio channels.
        activation: activation, ``snake``, ``elu``, ``relu`` or ``leaky_relu``.
        weight_init: initial weights, ``default`` (as released) or ``variance_preserving``, which learns faster.

    Raises:
        ValueError: a size is too small to build layers; the message says which.
    """

    def __init__(
        self,
        dimension: int = 1024,
        n_filters: int = 1536,
        strides: Sequence[int] = (2, 4, 8, 8),
        channels: int = 1,
        activation: Activation = "snake",
        weight_init: WeightInit = "default",
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.n_filters = n_filters
        self.strides = list(strides)
        self.channels = channels
        self.activation: Activation = activation
        self.weight_init: WeightInit = weight_init
        check_sizes(self.strides, channels=channels, dimension=dimension)
        fewest = 2 ** len(self.strides)
        if n_filters < fewest:
            raise ValueError(
                f"n_filters is {n_filters}; halved {len(self.strides)} times it should be at least {fewest}"
            )
        self.hop_length = math.prod(strides)
        width = n_filters
        layers: list[nn.Module] = [conv1d(dimension, width, 7, padding=3)]
        for stride in reversed(self.strides):
            layers.append(make_activation(activation, width))
            up = nn.ConvTranspose1d(width, width // 2, 2 * stride, stride, padding=math.ceil(stride / 2))
            layers.append(weight_norm(up))
            width //= 2
            layers += [DACResidualUnit(width, dilation, activation) for dilation in DILATIONS]
        layers += [make_activation(activation, width), conv1d(width, channels, 7, padding=3), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        if weight_init == "variance_preserving":
            preserve_variance(self, activation, branch_ends(self), output_rms=AUDIO_RMS)
        else:
            zero_convolution_biases(self)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to ``[B, C, T * hop_length]``, or a little less with odd strides."""
        return self.layers(latent)

    def stream(self) -> LayerStream:
        """A stream through the layers; it lags by half of their receptive field."""
        return layer_stream(self.layers)
