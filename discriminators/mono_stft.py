"""SoundStream's STFT discriminator, normalized as in EnCodec's comparison."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.stft import STFT
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.layers import check_audio, spectrum_maps

# Channels in units of n_filters (in, out) and strides over (time, frequency) of SoundStream's six residual units.
UNITS = ((1, 2, (1, 2)), (2, 4, (2, 2)), (4, 4, (1, 2)), (4, 8, (2, 2)), (8, 8, (1, 2)), (8, 16, (2, 2)))


class StepNorm(nn.Module):
    """Layer normalization of maps ``[B, C, T, F]`` over channels and frequency, separately for each time step.

    Args:
        channels: ``C``; gain and bias are one per channel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Unit gain, no bias."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, C, T, F]`` to the same shape, in float32."""
        maps = maps.float()
        variance, mean = torch.var_mean(maps, dim=(1, 3), keepdim=True, correction=0)
        normalized = (maps - mean) * torch.rsqrt(variance + 1e-5)
        return normalized * self.weight[:, None, None] + self.bias[:, None, None]


class ResidualUnit(nn.Module):
    """A 3 x 3 convolution, a strided one of kernel ``stride + 2``, each normalized, and a strided 1 x 1 bypass.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride over time and frequency.
        negative_slope: negative slope of the leaky ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int], negative_slope: float) -> None:
        super().__init__()
        self.stride = stride
        self.negative_slope = negative_slope
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.norm = StepNorm(in_channels)
        self.down = nn.Conv2d(in_channels, out_channels, (stride[0] + 2, stride[1] + 2), stride)
        self.down_norm = StepNorm(out_channels)
        self.bypass = nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, C, T, F]`` to ``[B, C', ceil(T / s), ceil(F / s)]``."""
        hidden = F.leaky_relu(self.norm(self.conv(maps)), self.negative_slope)
        # With a kernel of stride + 2, one zero before and the rest after give ceil(size / stride) steps, as the bypass.
        after = [1 + -size % step for size, step in zip(maps.shape[2:], self.stride, strict=True)]
        hidden = self.down_norm(self.down(F.pad(hidden, (1, after[1], 1, after[0]))))
        return F.leaky_relu(hidden + self.bypass(maps), self.negative_slope)


class MonoSTFTDiscriminator(Discriminator):
    """A single complex STFT through residual units (SoundStream, section III-D; EnCodec's comparison, appendix A.1).

    A 7 x 7 convolution, six residual units that alternate strides (1, 2) and (2, 2) while channels grow 16-fold, and
    one convolution over all frequencies left. Every layer but the first and the last is layer-normalized, separately
    for each time step (EnCodec, section 4.2). No reference implementation is public.

    Args:
        window_length: STFT window in samples.
        hop_length: samples between frames; None is a quarter of the window.
        n_filters: channels of the first map.
        channels: audio channels, joined in the first convolution.
        negative_slope: negative slope of the leaky ReLU.
    """

    def __init__(
        self,
        window_length: int = 1024,
        hop_length: int | None = None,
        n_filters: int = 32,
        channels: int = 1,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        self.window_length = window_length
        self.n_filters = n_filters
        self.channels = channels
        self.negative_slope = negative_slope
        self.stft = STFT(window_length, hop_length, normalized=True)
        self.hop_length = self.stft.hop_length
        self.first = nn.Conv2d(2 * channels, n_filters, 7, padding=3)
        self.units = nn.ModuleList(
            ResidualUnit(wide_in * n_filters, wide_out * n_filters, stride, negative_slope)
            for wide_in, wide_out, stride in UNITS
        )
        n_bins = window_length // 2 + 1
        for _, _, stride in UNITS:
            n_bins = -(-n_bins // stride[1])
        self.post = nn.Conv2d(UNITS[-1][1] * n_filters, 1, (1, n_bins))

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one output of logits ``[B, 1, T / 8, 1]``, the first map and one map per unit.

        Raises:
            ValueError: ``audio`` has other channels, or is shorter than the window.
        """
        check_audio(audio, self.channels, self.window_length, type(self).__name__)
        features = [F.leaky_relu(self.first(spectrum_maps(self.stft(audio))), self.negative_slope)]
        for unit in self.units:
            features.append(unit(features[-1]))
        return [DiscriminatorOutput(self.post(features[-1]), features)]
