"""The padded 1-D convolutions the SEANet codecs are built from (EnCodec, section 3.1)."""

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.layers.overlap_add import transposed_stream
from codeclab.codecs.layers.sliding_window import convolution_stream
from codeclab.codecs.layers.streaming import Chain, WholeOnly

Norm = Literal["weight_norm", "time_group_norm", "none"]
PadMode = Literal["reflect", "constant"]

NORM_OVER_TIME = "norm: time_group_norm takes the mean and variance of all samples, later ones too; weight_norm streams"
"""Why such a codec is not streamed."""


def weight_normed(convolution: nn.Module, norm: Norm) -> nn.Module:
    """The convolution, weight-normalised where asked to."""
    return weight_norm(convolution) if norm == "weight_norm" else convolution


def output_norm(norm: Norm, channels: int) -> nn.Module:
    """What follows a convolution: one group over all channels and all time, or nothing."""
    return nn.GroupNorm(1, channels) if norm == "time_group_norm" else nn.Identity()


def norm_stream(norm: nn.Module, left: int = 0, right: int = 0) -> LayerStream:
    """A stream through a norm over time, which takes whole inputs alone and gives all but some samples of each end."""

    def normed(x: Tensor) -> Tensor:
        plane = norm(x[:, :, None])[:, :, 0]  # of two dimensions a norm leaves channels side by side in memory
        return cast(Tensor, plane[..., left : plane.shape[-1] - right])

    return WholeOnly(normed, NORM_OVER_TIME)


def refuse_norms_over_time(module: nn.Module) -> None:
    """Refuse to stream what is normalised over time.

    Raises:
        NotStreamableError: there is such a norm in ``module``.
    """
    if any(isinstance(layer, nn.GroupNorm) for layer in module.modules()):
        raise NotStreamableError(NORM_OVER_TIME)


def pad_time(audio: Tensor, left: int, right: int, mode: PadMode) -> Tensor:
    """Pad ``[B, C, N]`` in time.

    Reflection needs more samples than the pad: a shorter input first gets zeros on the right, is reflected, and
    loses as many samples again.
    """
    if not (left or right):
        return audio
    if mode == "constant":
        return F.pad(audio, (left, right))
    missing = max(max(left, right) - audio.shape[-1] + 1, 0)
    if not missing:
        return F.pad(audio, (left, right), mode="reflect")
    padded = F.pad(F.pad(audio, (0, missing)), (left, right), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


class PaddedConv1d(nn.Module):
    """A convolution with ``ceil(N / stride)`` outputs for every ``N``.

    The total padding is ``(kernel - 1) * dilation + 1 - stride``: all before the first sample where causal, otherwise
    split with the odd one before. More follows the last sample, so that the last window is full.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: taps.
        stride: downsampling.
        dilation: between taps.
        causal: whether no output sees later samples.
        norm: ``weight_norm``, ``time_group_norm`` or ``none``.
        pad_mode: ``reflect`` or ``constant`` (zeros).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        causal: bool = True,
        norm: Norm = "weight_norm",
        pad_mode: PadMode = "reflect",
    ) -> None:
        super().__init__()
        self.stride = stride
        self.window = (kernel_size - 1) * dilation + 1
        self.causal = causal
        self.pad_mode: PadMode = pad_mode
        convolution = nn.Conv1d(in_channels, out_channels, kernel_size, stride, dilation=dilation)
        self.convolution = weight_normed(convolution, norm)
        self.norm = output_norm(norm, out_channels)

    @property
    def _after(self) -> int:
        """Samples always padded after the last."""
        return 0 if self.causal else max(self.window - self.stride, 0) // 2

    def padding(self, length: int) -> tuple[int, int]:
        """Samples before and after an input of ``length``."""
        total = max(self.window - self.stride, 0)
        after = self._after
        return total - after, after + (self.window - total - length) % self.stride

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, C', ceil(N / stride)]``."""
        if torch.compiler.is_exporting():
            return self.norm(self.convolution(self._padded_openly(audio)))
        left, right = self.padding(audio.shape[-1])
        return self.norm(self.convolution(pad_time(audio, left, right, self.pad_mode)))

    def _padded_openly(self, audio: Tensor) -> Tensor:
        """Padded by as much for every length, which a graph leaves open: what no whole window reaches does no harm."""
        length = audio.shape[-1]
        left, right = self.padding(length)
        most = self._after + self.stride - 1
        if self.pad_mode == "constant":
            return F.pad(audio, (left, most))
        # ``pad_time`` by places: the last of the samples and of the zeros after them is what is reflected at.
        last = torch.sym_max(length, torch.sym_max(left, right) + 1) - 1

        def at(places: Tensor) -> Tensor:
            return audio.index_select(-1, places.clamp(0, length - 1)) * (places < length)

        before = at(torch.arange(left, 0, -1, device=audio.device))
        beyond = length - last + torch.arange(most, device=audio.device)
        after = at(last - torch.maximum(beyond, -beyond))  # abs() of integers is wrong in OpenVINO 2026.4
        return torch.cat([before, audio, after], dim=-1)

    def stream(self) -> LayerStream:
        """A stream through the layer, which waits for what it reflects at the start."""
        left, after = max(self.window - self.stride, 0) - self._after, self._after
        windows = convolution_stream(
            cast(nn.Conv1d, self.convolution),
            left,
            lambda length: self.padding(length)[1],
            self.pad_mode,
            most_right=after + self.stride - 1,
            whole=lambda audio: self.convolution(pad_time(audio, *self.padding(audio.shape[-1]), self.pad_mode)),
        )
        return windows if isinstance(self.norm, nn.Identity) else Chain([windows, norm_stream(self.norm)])


class TrimmedConvTranspose1d(nn.Module):
    """A transposed convolution with ``N * stride`` outputs; what is over is cut after the norm.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: taps, at least ``stride``.
        stride: upsampling.
        causal: cut all on the right (times ``trim_right_ratio``), otherwise on both sides, the odd one on the left.
        norm: ``weight_norm``, ``time_group_norm`` or ``none``.
        trim_right_ratio: where causal, the share cut on the right.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        causal: bool = True,
        norm: Norm = "weight_norm",
        trim_right_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        over = kernel_size - stride
        self.right = math.ceil(over * trim_right_ratio) if causal else over // 2
        self.left = over - self.right
        self.convolution = weight_normed(nn.ConvTranspose1d(in_channels, out_channels, kernel_size, stride), norm)
        self.norm = output_norm(norm, out_channels)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, C', N * stride]``."""
        output = self.norm(self.convolution(latent))
        return output[..., self.left : output.shape[-1] - self.right]

    def stream(self) -> LayerStream:
        """A stream through the layer."""
        convolution = cast(nn.ConvTranspose1d, self.convolution)
        if isinstance(self.norm, nn.Identity):
            return transposed_stream(convolution, self.left, self.right)
        return Chain([transposed_stream(convolution, 0, 0), norm_stream(self.norm, self.left, self.right)])
