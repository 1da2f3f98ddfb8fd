"""The multi-period discriminator of HiFi-GAN (Kong et al. 2020), AudioCraft and DAC."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.layers import ConvStack, check_audio, conv2d, outputs_of, peak_normalized
from codeclab.discriminators.period_convolution import period_conv2d


class PeriodNetwork(nn.Module):
    """One period: the waveform folded to ``[N / period, period]``, convolutions along the first axis only.

    Args:
        period: samples per row.
        n_filters: channels of the first map; each further one has ``growth`` times as many, up to ``max_filters``.
        max_filters: upper limit of a map's channels.
        growth: factor of the channels from map to map.
        n_layers: convolutions before the logits.
        channels: audio channels.
        kernel_size: kernel size along the folded axis.
        logits_kernel_size: kernel size of the convolution that gives the logits.
        stride: stride along the folded axis, in all convolutions but the last.
        negative_slope: negative slope of the leaky ReLU.
        pad_full_period: whether a whole period is added where the length is a multiple of the period.
    """

    def __init__(
        self,
        period: int,
        n_filters: int,
        max_filters: int,
        growth: int,
        n_layers: int,
        channels: int,
        kernel_size: int,
        logits_kernel_size: int,
        stride: int,
        negative_slope: float,
        pad_full_period: bool,
    ) -> None:
        super().__init__()
        self.period = period
        self.pad_full_period = pad_full_period
        widths = [channels, *(min(n_filters * growth**i, max_filters) for i in range(n_layers))]
        strides = [stride] * (n_layers - 1) + [1]
        convs = [period_conv2d(widths[i], widths[i + 1], kernel_size, strides[i]) for i in range(n_layers)]
        self.stack = ConvStack(convs, negative_slope)
        self.post = conv2d(widths[-1], 1, (logits_kernel_size, 1))

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """``[B, C, N]`` to logits ``[B, 1, L, period]`` and one map per convolution."""
        padding = -audio.shape[-1] % self.period
        if self.pad_full_period and padding == 0:
            padding = self.period
        if padding:
            audio = F.pad(audio, (0, padding), mode="reflect")
        features = self.stack(audio.unflatten(-1, (-1, self.period)))
        return DiscriminatorOutput(self.post(features[-1]), features)


class MultiPeriodDiscriminator(Discriminator):
    """Multi-period discriminator (HiFi-GAN; DAC section 3.4). The defaults are DAC's released code.

    HiFi-GAN's own (Kong et al. 2020, section 2.3) is ``pad_full_period=False, normalize_input=False``: the level of the
    audio reaches it, but not DAC's. AudioCraft's is that with ``n_filters=32, negative_slope=0.3`` where its
    arguments are ``filters=8, filters_scale=4``, as its first map is already scaled. Both list the logits among their
    features; here, as in DAC's loss, features never do.

    Args:
        periods: samples per row, one sub-network each.
        n_filters: channels of the first map; each further one has ``growth`` times as many, up to ``max_filters``.
        max_filters: upper limit of a map's channels.
        channels: audio channels, joined in the first convolution.
        kernel_size: kernel size along the folded axis.
        stride: stride along the folded axis.
        negative_slope: negative slope of the leaky ReLU.
        pad_full_period: whether a whole period is reflected where the length is a multiple of the period.
        normalize_input: whether each item and channel first loses its mean and gets a peak of 0.8.
        growth: factor of the channels from map to map.
        n_layers: convolutions before the logits.
        logits_kernel_size: kernel size of the convolution that gives the logits, along the folded axis.

    Raises:
        ValueError: a size is below 1.
    """

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        n_filters: int = 32,
        max_filters: int = 1024,
        channels: int = 1,
        kernel_size: int = 5,
        stride: int = 3,
        negative_slope: float = 0.1,
        pad_full_period: bool = True,
        normalize_input: bool = True,
        growth: int = 4,
        n_layers: int = 5,
        logits_kernel_size: int = 3,
    ) -> None:
        super().__init__()
        if min(n_filters, max_filters, growth, n_layers, logits_kernel_size) < 1:
            raise ValueError(
                f"n_filters {n_filters}, max_filters {max_filters}, growth {growth}, n_layers {n_layers} and "
                f"logits_kernel_size {logits_kernel_size} should all be at least 1"
            )
        self.periods = list(periods)
        self.n_filters = n_filters
        self.max_filters = max_filters
        self.channels = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.negative_slope = negative_slope
        self.pad_full_period = pad_full_period
        self.normalize_input = normalize_input
        self.growth = growth
        self.n_layers = n_layers
        self.logits_kernel_size = logits_kernel_size
        self.networks = nn.ModuleList(
            PeriodNetwork(
                period,
                n_filters,
                max_filters,
                growth,
                n_layers,
                channels,
                kernel_size,
                logits_kernel_size,
                stride,
                negative_slope,
                pad_full_period,
            )
            for period in periods
        )

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one output per period, in order.

        Raises:
            ValueError: ``audio`` has other channels, or is no longer than the longest period.
        """
        check_audio(audio, self.channels, max(self.periods) + 1, type(self).__name__)
        if self.normalize_input:
            audio = peak_normalized(audio)
        return outputs_of(self.networks, audio)
