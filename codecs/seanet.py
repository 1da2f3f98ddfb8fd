"""SEANet, EnCodec's encoder and decoder (Défossez et al. 2022, section 3.1)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder, check_sizes
from codeclab.codecs.layers.activation import Activation, make_activation
from codeclab.codecs.layers.convolution import Norm, PaddedConv1d, PadMode, TrimmedConvTranspose1d
from codeclab.codecs.layers.graph_lstm import lstm_in_graph
from codeclab.codecs.layers.initialization import AUDIO_RMS, WeightInit, preserve_variance
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.streaming import Sum, layer_stream


class ResidualUnit(nn.Module):
    """Two convolutions, the first one dilated, and a skip connection (EnCodec 3.1); see ``SEANetEncoder``."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        last_kernel_size: int,
        dilation: int,
        compress: int,
        true_skip: bool,
        causal: bool,
        norm: Norm,
        activation: Activation,
        pad_mode: PadMode,
    ) -> None:
        super().__init__()
        hidden = channels // compress
        self.body = nn.Sequential(
            make_activation(activation, channels),
            PaddedConv1d(channels, hidden, kernel_size, 1, dilation, causal, norm, pad_mode),
            make_activation(activation, hidden),
            PaddedConv1d(hidden, channels, last_kernel_size, 1, 1, causal, norm, pad_mode),
        )
        self.skip = nn.Identity() if true_skip else PaddedConv1d(channels, channels, 1, 1, 1, causal, norm, pad_mode)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to the same shape."""
        return self.skip(audio) + self.body(audio)

    def stream(self) -> LayerStream:
        """A stream through both branches."""
        return Sum([layer_stream(self.skip), layer_stream(self.body)])


class SkipLSTM(nn.Module):
    """An LSTM over time with a skip connection (EnCodec 3.1); each call starts from a zero state."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, C, T]`` to the same shape."""
        steps = latent.permute(2, 0, 1)
        if torch.compiler.is_exporting():
            return lstm_in_graph(self.lstm, steps).permute(1, 2, 0) + latent
        zeros = steps.new_zeros(self.lstm.num_layers, latent.shape[0], self.lstm.hidden_size)
        output, _ = self.lstm(steps, (zeros, zeros))
        return output.permute(1, 2, 0) + latent

    def stream(self) -> LayerStream:
        """A stream that continues from the LSTM's last state."""
        return _SkipLSTMStream(self.lstm)


class _SkipLSTMStream(LayerStream):
    """The state of a stream through a ``SkipLSTM``."""

    def __init__(self, lstm: nn.LSTM) -> None:
        self.lstm = lstm
        self.state: tuple[Tensor, Tensor] | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        if x.shape[-1] == 0:
            return x
        output, self.state = self.lstm(x.permute(2, 0, 1), self.state)
        return output.permute(1, 2, 0) + x


class SEANetEncoder(Encoder):
    """Strided convolutions with residual units, an LSTM, and a last convolution (EnCodec 3.1).

    Args:
        dimension: latent channels ``D``.
        channels: audio channels.
        n_filters: channels after the first convolution, which double at each downsampling.
        strides: downsampling factors, in encoder order.
        n_residual_layers: residual units before each downsampling.
        dilation_base: base of the dilations; residual unit ``j`` has ``dilation_base ** j``.
        kernel_size: taps of the first convolution.
        last_kernel_size: taps of the last convolution.
        residual_kernel_size: taps of a residual unit's first convolution.
        compress: divisor of a residual unit's channels, which gives its hidden channels.
        true_skip: whether the skip connection of residual units is the identity; otherwise a convolution.
        lstm_layers: number of LSTM layers; 0 for no LSTM.
        causal: whether no output depends on later samples (the streamable setup). With ``pad_mode="reflect"``, as
            released, the first frames do, because the padding before the first sample consists of samples after it.
        norm: norm of the convolutions, ``weight_norm`` (streamable), ``time_group_norm`` or ``none``.
        activation: activation before each convolution except the first.
        pad_mode: padding mode, ``reflect`` or ``constant``.
        weight_init: initial weights, ``default`` (PyTorch's, as released) or ``variance_preserving``, which learns
            faster.
        residual_last_kernel_size: taps of a residual unit's second convolution (released: 1; the paper: 3).

    Raises:
        ValueError: a size is too small to build layers; the message says which.
    """

    def __init__(
        self,
        dimension: int = 128,
        channels: int = 1,
        n_filters: int = 32,
        strides: Sequence[int] = (2, 4, 5, 8),
        n_residual_layers: int = 1,
        dilation_base: int = 2,
        kernel_size: int = 7,
        last_kernel_size: int = 7,
        residual_kernel_size: int = 3,
        compress: int = 2,
        true_skip: bool = False,
        lstm_layers: int = 2,
        causal: bool = True,
        norm: Norm = "weight_norm",
        activation: Activation = "elu",
        pad_mode: PadMode = "reflect",
        weight_init: WeightInit = "default",
        residual_last_kernel_size: int = 1,
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.channels = channels
        self.n_filters = n_filters
        self.strides = list(strides)
        self.n_residual_layers = n_residual_layers
        self.dilation_base = dilation_base
        self.kernel_size = kernel_size
        self.last_kernel_size = last_kernel_size
        self.residual_kernel_size = residual_kernel_size
        self.residual_last_kernel_size = residual_last_kernel_size
        self.compress = compress
        self.true_skip = true_skip
        self.lstm_layers = lstm_layers
        self.causal = causal
        self.norm: Norm = norm
        self.activation: Activation = activation
        self.pad_mode: PadMode = pad_mode
        self.weight_init: WeightInit = weight_init
        _check(self)
        self.hop_length = math.prod(strides)
        width = n_filters
        layers: list[nn.Module] = [PaddedConv1d(channels, width, kernel_size, 1, 1, causal, norm, pad_mode)]
        for stride in strides:
            layers += _residual_units(self, width)
            layers.append(make_activation(activation, width))
            layers.append(PaddedConv1d(width, 2 * width, 2 * stride, stride, 1, causal, norm, pad_mode))
            width *= 2
        if lstm_layers:
            layers.append(SkipLSTM(width, lstm_layers))
        layers.append(make_activation(activation, width))
        layers.append(PaddedConv1d(width, dimension, last_kernel_size, 1, 1, causal, norm, pad_mode))
        self.layers = nn.Sequential(*layers)
        if weight_init == "variance_preserving":
            preserve_variance(self, activation, input_rms=AUDIO_RMS)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, D, ceil(N / hop_length)]``."""
        return self.layers(audio)

    def stream(self) -> LayerStream:
        """A stream through the layers."""
        return layer_stream(self.layers)


class SEANetDecoder(Decoder):
    """The encoder's mirror: a first convolution, an LSTM, transposed convolutions with residual units (EnCodec 3.1).

    Args:
        dimension: latent channels ``D``.
        channels: audio channels.
        n_filters: channels before the last convolution, which double at each step towards the latent.
        strides: upsampling factors, in ENCODER order.
        n_residual_layers: residual units after each upsampling.
        dilation_base: base of the dilations; residual unit ``j`` has ``dilation_base ** j``.
        kernel_size: taps of the first convolution.
        last_kernel_size: taps of the last convolution.
        residual_kernel_size: taps of a residual unit's first convolution.
        compress: divisor of a residual unit's channels, which gives its hidden channels.
        true_skip: whether the skip connection of residual units is the identity; otherwise a convolution.
        lstm_layers: number of LSTM layers; 0 for no LSTM.
        causal: whether no output depends on later frames (the streamable setup), except at the start with ``reflect``.
        norm: norm of the convolutions, ``weight_norm`` (streamable), ``time_group_norm`` or ``none``.
        activation: activation before each convolution except the first.
        pad_mode: padding mode, ``reflect`` or ``constant``.
        weight_init: initial weights, ``default`` (PyTorch's, as released) or ``variance_preserving``, which learns
            faster.
        trim_right_ratio: share of a transposed convolution's surplus that is cut on the right if causal, 0 to 1.
        final_activation: activation after the last convolution, ``none`` or ``tanh``.
        residual_last_kernel_size: taps of a residual unit's second convolution (released: 1; the paper: 3).

    Raises:
        ValueError: a size is too small to build layers; the message says which.
    """

    def __init__(
        self,
        dimension: int = 128,
        channels: int = 1,
        n_filters: int = 32,
        strides: Sequence[int] = (2, 4, 5, 8),
        n_residual_layers: int = 1,
        dilation_base: int = 2,
        kernel_size: int = 7,
        last_kernel_size: int = 7,
        residual_kernel_size: int = 3,
        compress: int = 2,
        true_skip: bool = False,
        lstm_layers: int = 2,
        causal: bool = True,
        norm: Norm = "weight_norm",
        activation: Activation = "elu",
        pad_mode: PadMode = "reflect",
        trim_right_ratio: float = 1.0,
        final_activation: Literal["none", "tanh"] = "none",
        weight_init: WeightInit = "default",
        residual_last_kernel_size: int = 1,
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.channels = channels
        self.n_filters = n_filters
        self.strides = list(strides)
        self.n_residual_layers = n_residual_layers
        self.dilation_base = dilation_base
        self.kernel_size = kernel_size
        self.last_kernel_size = last_kernel_size
        self.residual_kernel_size = residual_kernel_size
        self.residual_last_kernel_size = residual_last_kernel_size
        self.compress = compress
        self.true_skip = true_skip
        self.lstm_layers = lstm_layers
        self.causal = causal
        self.norm: Norm = norm
        self.activation: Activation = activation
        self.pad_mode: PadMode = pad_mode
        self.weight_init: WeightInit = weight_init
        self.trim_right_ratio = trim_right_ratio
        self.final_activation: Literal["none", "tanh"] = final_activation
        _check(self)
        self.hop_length = math.prod(strides)
        width = n_filters * 2 ** len(self.strides)
        layers: list[nn.Module] = [PaddedConv1d(dimension, width, kernel_size, 1, 1, causal, norm, pad_mode)]
        if lstm_layers:
            layers.append(SkipLSTM(width, lstm_layers))
        for stride in reversed(self.strides):
            layers.append(make_activation(activation, width))
            layers.append(TrimmedConvTranspose1d(width, width // 2, 2 * stride, stride, causal, norm, trim_right_ratio))
            width //= 2
            layers += _residual_units(self, width)
        layers.append(make_activation(activation, width))
        layers.append(PaddedConv1d(width, channels, last_kernel_size, 1, 1, causal, norm, pad_mode))
        if final_activation == "tanh":
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)
        if weight_init == "variance_preserving":
            preserve_variance(self, activation, output_rms=AUDIO_RMS)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to ``[B, C, T * hop_length]``."""
        return self.layers(latent)

    def stream(self) -> LayerStream:
        """A stream through the layers."""
        return layer_stream(self.layers)


def _check(owner: SEANetEncoder | SEANetDecoder) -> None:
    sizes = (
        *("dimension", "channels", "n_filters", "compress", "kernel_size", "last_kernel_size"),
        *("residual_kernel_size", "residual_last_kernel_size"),
    )
    check_sizes(owner.strides, **{name: getattr(owner, name) for name in sizes})
    if owner.n_filters < owner.compress:
        raise ValueError(
            f"n_filters is {owner.n_filters} and compress {owner.compress}; residual units have "
            "n_filters // compress channels, which should be at least 1"
        )


def _residual_units(owner: SEANetEncoder | SEANetDecoder, width: int) -> list[nn.Module]:
    first, last = owner.residual_kernel_size, owner.residual_last_kernel_size
    settings = owner.compress, owner.true_skip, owner.causal, owner.norm, owner.activation, owner.pad_mode
    dilations = [owner.dilation_base**layer for layer in range(owner.n_residual_layers)]
    return [ResidualUnit(width, first, last, dilation, *settings) for dilation in dilations]
