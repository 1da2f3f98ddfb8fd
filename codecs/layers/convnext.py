"""The ConvNeXt block, which keeps the frame rate (Liu et al. 2022; over time: Siuzdak 2023, section 3.3)."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.sliding_window import convolution_stream
from codeclab.codecs.layers.streaming import Chain, Pointwise, Sum
from codeclab.quantizers.matrix_product import linear


class ChannelNorm(nn.LayerNorm):
    """Layer normalization of every frame over its channels, ``[B, C, T]``."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, C, T]`` to the same shape."""
        return super().forward(latent.transpose(1, 2)).transpose(1, 2)

    def stream(self) -> LayerStream:
        """A stream through the layer, which has no memory."""
        return Pointwise(self)


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution over time, then two pointwise layers, scaled per channel and added to the input.

    Args:
        channels: channels in and out.
        hidden: channels between the pointwise layers.
        kernel_size: taps of the depthwise convolution, odd.
        layer_scale: initial factor of the branch.
        causal: whether no output sees later frames.
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int, layer_scale: float, causal: bool) -> None:
        super().__init__()
        before = kernel_size - 1 if causal else kernel_size // 2
        self.padding = (before, kernel_size - 1 - before)
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, hidden)
        self.project = nn.Linear(hidden, channels)
        self.layer_scale = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, C, T]`` to the same shape."""
        return latent + self._after(self.depthwise(F.pad(latent, self.padding)))

    def _after(self, mixed: Tensor, product: Callable[..., Tensor] = F.linear) -> Tensor:
        """The branch after its depthwise convolution, ``[B, C, T]`` to the same shape."""
        expanded = product(self.norm(mixed.transpose(1, 2)), self.expand.weight, self.expand.bias)
        branch = product(F.gelu(expanded), self.project.weight, self.project.bias)
        return (self.layer_scale * branch).transpose(1, 2)

    def stream(self) -> LayerStream:
        """A stream that delays the input until the branch is ready."""
        before, after = self.padding
        mixed = convolution_stream(self.depthwise, before, lambda length: after, "constant")
        return Sum([Pointwise(nn.Identity()), Chain([mixed, Pointwise(partial(self._after, product=linear))])])


def make_blocks(channels: int, count: int, expansion: float, kernel_size: int, causal: bool) -> nn.Sequential:
    """``count`` blocks in sequence; each branch starts scaled by ``1 / count``, as in Vocos."""
    hidden = round(expansion * channels)
    return nn.Sequential(*(ConvNeXtBlock(channels, hidden, kernel_size, 1 / count, causal) for _ in range(count)))
