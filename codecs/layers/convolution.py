"""The padded 1-D convolutions of SEANet (EnCodec, section 3.1)."""

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.layers.overlap_add import transposed_stream
from codeclab.codecs.layers.sliding_window import convolution_stream
from codeclab.codecs.layers.streaming import Chain

Norm = Literal["weight_norm", "time_group_norm", "none"]
PadMode = Literal["reflect", "constant"]

NORM_OVER_TIME = "norm: time_group_norm takes the mean and variance of all samples, later ones too; weight_norm streams"
"""The reason for which such a codec cannot be streamed."""


def weight_normed(convolution: nn.Module, norm: Norm) -> nn.Module:
    """The convolution, with weight norm if ``norm`` is ``weight_norm``."""
    return weight_norm(convolution) if norm == "weight_norm" else convolution


def output_norm(norm: Norm, channels: int) -> nn.Module:
    """The norm after a convolution: one group over all channels and all time, or none."""
    return nn.GroupNorm(1, channels) if norm == "time_group_norm" else nn.Identity()


class NormStream(LayerStream):
    """A stream through a norm over time, which needs the whole input; ``left`` and ``right`` samples are then cut."""

    def __init__(self, norm: nn.Module, left: int = 0, right: int = 0) -> None:
        self.norm, self.left, self.right = norm, left, right

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        if not last:
            raise NotStreamableError(NORM_OVER_TIME)
        plane = self.norm(x[:, :, None])[:, :, 0]  # a 2-D input keeps its channels-last memory layout in a norm
        return cast(Tensor, plane[..., self.left : plane.shape[-1] - self.right])


def refuse_norms_over_time(module: nn.Module) -> None:
    """Refuse to stream a module with a norm over time.

    Raises:
        NotStreamableError: ``module`` contains a norm over time.
    """
    if any(isinstance(layer, nn.GroupNorm) for layer in module.modules()):
        raise NotStreamableError(NORM_OVER_TIME)


def pad_time(audio: Tensor, left: int, right: int, mode: PadMode) -> Tensor:
    """Pad ``[B, C, N]`` in time.

    Reflection needs more samples than the padding. A shorter input is first extended by zeros on the right, then
    reflected, and the zeros' number of samples is cut off at the end.
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

    The total padding is ``(kernel - 1) * dilation + 1 - stride``. If causal, all of it is before the first sample,
    otherwise it is split with the odd sample before. More padding after the last sample makes the last window full.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: number of taps.
        stride: downsampling factor.
        dilation: distance between taps, samples.
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
        self.pad_mode: PadMode = pad_mode
        # Samples of padding before the first one and after the last one, for every length.
        total = max(self.window - stride, 0)
        self._after = 0 if causal else total // 2
        self._before = total - self._after
        convolution = nn.Conv1d(in_channels, out_channels, kernel_size, stride, dilation=dilation)
        self.convolution = weight_normed(convolution, norm)
        self.norm = output_norm(norm, out_channels)

    def padding(self, length: int) -> tuple[int, int]:
        """Samples of padding before and after an input of ``length``."""
        incomplete = (self.window - self._before - self._after - length) % self.stride
        return self._before, self._after + incomplete

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, C', ceil(N / stride)]``."""
        if torch.compiler.is_exporting():
            return self.norm(self.convolution(self._pad_for_export(audio)))
        left, right = self.padding(audio.shape[-1])
        return self.norm(self.convolution(pad_time(audio, left, right, self.pad_mode)))

    def _pad_for_export(self, audio: Tensor) -> Tensor:
        """Padding that does not depend on the length, which is open in a graph.

        It is the padding of the length that needs most. Surplus samples at the end do not fill another window, so that
        the output is the same.
        """
        length = audio.shape[-1]
        left, right = self.padding(length)
        most = self._after + self.stride - 1
        if self.pad_mode == "constant":
            return F.pad(audio, (left, most))
        # This is ``pad_time`` by index arithmetic, without branches on the length. The signal is reflected at ``last``:
        # its last sample, or the last of the zeros that extend a short input.
        last = torch.sym_max(length, torch.sym_max(left, right) + 1) - 1

        def at(positions: Tensor) -> Tensor:
            return audio.index_select(-1, positions.clamp(0, length - 1)) * (positions < length)

        before = at(torch.arange(left, 0, -1, device=audio.device))
        beyond = length - last + torch.arange(most, device=audio.device)
        after = at(last - torch.maximum(beyond, -beyond))  # abs() of integers is wrong in OpenVINO 2026.4
        return torch.cat([before, audio, after], dim=-1)

    def stream(self) -> LayerStream:
        """A stream through the layer; at the start it waits for the samples that it reflects."""
        windows = convolution_stream(
            cast(nn.Conv1d, self.convolution),
            self._before,
            lambda length: self.padding(length)[1],
            self.pad_mode,
            most_right=self._after + self.stride - 1,
            whole=lambda audio: self.convolution(pad_time(audio, *self.padding(audio.shape[-1]), self.pad_mode)),
        )
        return windows if isinstance(self.norm, nn.Identity) else Chain([windows, NormStream(self.norm)])


class TrimmedConvTranspose1d(nn.Module):
    """A transposed convolution with ``N * stride`` outputs; the surplus is cut off after the norm.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: number of taps, at least ``stride``.
        stride: upsampling factor.
        causal: whether the surplus is cut on the right (times ``trim_right_ratio``); otherwise on both sides, the odd
            sample on the left.
        norm: ``weight_norm``, ``time_group_norm`` or ``none``.
        trim_right_ratio: share of the surplus that is cut on the right if causal, 0 to 1.
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
        return Chain([transposed_stream(convolution, 0, 0), NormStream(self.norm, self.left, self.right)])
