"""Layers shared by the convolutional discriminators, and views of their input."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codeclab.codecs.layers.fan_out import fan_out
from codeclab.codecs.wording import counted
from codeclab.discriminators.base import DiscriminatorOutput
from codeclab.discriminators.weights_once import AutocastConv2d


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    weight_normed: bool = True,
) -> nn.Module:
    """A 2-D convolution with symmetric zero padding ``((k - 1) * dilation) // 2``, weight-normalized by default."""
    padding = ((kernel_size[0] - 1) * dilation[0] // 2, (kernel_size[1] - 1) * dilation[1] // 2)
    conv = AutocastConv2d(in_channels, out_channels, kernel_size, stride, padding, dilation)
    return weight_norm(conv) if weight_normed else conv


class ConvStack(nn.Module):
    """Convolutions in sequence, each with a leaky ReLU; all activations are returned. ``--compile`` compiles this.

    Args:
        convs: convolutions, in order.
        negative_slope: negative slope of the leaky ReLU.
    """

    def __init__(self, convs: Sequence[nn.Module], negative_slope: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.negative_slope = negative_slope

    def forward(self, maps: Tensor) -> list[Tensor]:
        """``[B, C, H, W]`` to the activation after each convolution."""
        features = []
        for conv in self.convs:
            # In place: no backward pass needs the convolution's own output, and these maps are large.
            maps = F.leaky_relu(conv(maps), self.negative_slope, inplace=True)
            features.append(maps)
        return features


def outputs_of(networks: nn.ModuleList, audio: Tensor) -> list[DiscriminatorOutput]:
    """The output of each network for the same audio ``[B, C, N]``, in order."""
    return [network(view) for network, view in zip(networks, fan_out(audio, len(networks)), strict=True)]


def check_audio(audio: Tensor, channels: int, min_samples: int, name: str) -> None:
    """Refuse audio that a discriminator cannot take.

    Raises:
        ValueError: ``audio`` is not ``[B, channels, N]`` or has fewer than ``min_samples`` samples.
    """
    if audio.ndim != 3 or audio.shape[1] != channels:
        raise ValueError(f"the audio of {name} is {list(audio.shape)}; it should be [B, {channels}, N]")
    if audio.shape[-1] < min_samples:
        raise ValueError(
            f"the audio of {name} has {counted(audio.shape[-1], 'sample')}; it should have at least {min_samples:,}: "
            "lengthen the excerpts"
        )


def peak_normalized(audio: Tensor) -> Tensor:
    """Audio ``[B, C, N]`` without its mean and with a peak of 0.8, per item and channel; gradients flow through.

    Source: DAC's released code, before all of its discriminators.
    """
    audio = audio.float()
    audio = audio - audio.mean(dim=-1, keepdim=True)
    return 0.8 * audio / (audio.abs().amax(dim=-1, keepdim=True) + 1e-9)


def spectrum_maps(spectrum: Tensor) -> Tensor:
    """Complex ``[B, C, T, F]`` to maps ``[B, 2 C, T, F]``: all real parts, then all imaginary parts.

    The maps are channels-last in memory, which for mono is the spectrum itself without a copy. Weight-normalized
    weights are always contiguous, so it is the input that makes the convolutions run channels-last.
    """
    return torch.view_as_real(spectrum).permute(0, 2, 3, 4, 1).flatten(3).permute(0, 3, 1, 2)
