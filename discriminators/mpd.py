"""HiFi-GAN's multi-period discriminator, as DAC uses it."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.discriminators.base import Discriminator, Judgement
from codeclab.discriminators.layers import ConvStack, check_audio, conv2d, peak_normalized

GROWTH = 4
N_LAYERS = 5


class PeriodNetwork(nn.Module):
    """One period: the waveform folded to ``[N / period, period]``, convolutions along the first axis only.

    Args:
        period: samples per row.
        n_filters: channels of the first map; each further one has four times as many, up to ``max_filters``.
        max_filters: the most channels of a map.
        channels: audio channels.
        kernel_size: along the folded axis.
        stride: along the folded axis, in all convolutions but the last.
        negative_slope: of the leaky ReLU.
        pad_full_period: add a whole period where none is needed.
    """

    def __init__(
        self,
        period: int,
        n_filters: int,
        max_filters: int,
        channels: int,
        kernel_size: int,
        stride: int,
        negative_slope: float,
        pad_full_period: bool,
    ) -> None:
        super().__init__()
        self.period = period
        self.pad_full_period = pad_full_period
        widths = [channels, *(min(n_filters * GROWTH**i, max_filters) for i in range(N_LAYERS))]
        strides = [stride] * (N_LAYERS - 1) + [1]
        convs = [conv2d(widths[i], widths[i + 1], (kernel_size, 1), stride=(strides[i], 1)) for i in range(N_LAYERS)]
        self.stack = ConvStack(convs, negative_slope)
        self.post = conv2d(widths[-1], 1, (3, 1))

    def forward(self, audio: Tensor) -> Judgement:
        """``[B, C, N]`` to logits ``[B, 1, L, period]`` and one map per convolution."""
        padding = -audio.shape[-1] % self.period
        if self.pad_full_period and padding == 0:
            padding = self.period
        if padding:
            audio = F.pad(audio, (0, padding), mode="reflect")
        features = self.stack(audio.unflatten(-1, (-1, self.period)))
        return Judgement(self.post(features[-1]), features)


class MultiPeriodDiscriminator(Discriminator):
    """Multi-period discriminator (HiFi-GAN; DAC section 3.4). The defaults are DAC's released code.

    HiFi-GAN itself and AudioCraft are ``pad_full_period=False, normalize_input=False``. Their features also list the
    logits; here, as in DAC's loss, features never do.

    Args:
        periods: samples per row, one sub-network each.
        n_filters: channels of the first map; each further one has four times as many, up to ``max_filters``.
        max_filters: the most channels of a map.
        channels: audio channels, judged together.
        kernel_size: along the folded axis.
        stride: along the folded axis.
        negative_slope: of the leaky ReLU.
        pad_full_period: reflect a whole period even where the length is a multiple already.
        normalize_input: remove the mean and set the peak to 0.8 first, per item and channel.
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
    ) -> None:
        super().__init__()
        self.periods = list(periods)
        self.n_filters = n_filters
        self.max_filters = max_filters
        self.channels = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.negative_slope = negative_slope
        self.pad_full_period = pad_full_period
        self.normalize_input = normalize_input
        self.networks = nn.ModuleList(
            PeriodNetwork(
                period, n_filters, max_filters, channels, kernel_size, stride, negative_slope, pad_full_period
            )
            for period in periods
        )

    def forward(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N]`` to one judgement per period.

        Raises:
            ValueError: ``audio`` has other channels, or is no longer than the longest period.
        """
        check_audio(audio, self.channels, max(self.periods) + 1, type(self).__name__)
        if self.normalize_input:
            audio = peak_normalized(audio)
        return [network(audio) for network in self.networks]
