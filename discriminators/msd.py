"""MelGAN's multi-scale waveform discriminator, as SoundStream, EnCodec's comparison and DAC's code use it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torchaudio.functional import resample

from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.layers import ConvStack, check_audio, peak_normalized

Downsampling = Literal["pool", "sinc"]
SINC_ZEROS, SINC_ROLLOFF = 24, 0.945


def downsampled(audio: Tensor, rate: int, how: Downsampling) -> Tensor:
    """``[B, C, N]`` at a ``rate``-th of its sample rate.

    Args:
        audio: ``[B, C, N]``.
        rate: factor by which the sample rate is divided, at least 1.
        how: method; ``pool`` averages 4 samples at stride 2, repeatedly (MelGAN; a power of two); ``sinc`` is a
            windowed-sinc filter with 24 zero crossings, a roll-off of 0.945, unit gain and edges held (DAC).
    """
    if rate == 1:
        return audio
    if how == "pool":
        for _ in range(rate.bit_length() - 1):
            audio = F.avg_pool1d(audio, 4, stride=2, padding=1, count_include_pad=False)
        return audio
    samples = audio.shape[-1] // rate
    # Repeat the edge samples, where torchaudio would pad with zeros. The padding is a multiple of the rate and longer
    # than half of the filter, so that it is cut off whole afterwards.
    edge = 2 * SINC_ZEROS
    padded = F.pad(audio.float(), (edge * rate, edge * rate), mode="replicate")
    filtered = resample(padded, rate, 1, lowpass_filter_width=SINC_ZEROS, rolloff=SINC_ROLLOFF)
    ones = torch.ones(1, 2 * edge * rate, device=audio.device)
    gain = resample(ones, rate, 1, lowpass_filter_width=SINC_ZEROS, rolloff=SINC_ROLLOFF)[0, edge]
    return filtered[..., edge : edge + samples] / gain


class InnerConv(NamedTuple):
    """One of the grouped convolutions between the first and the last; ``channels`` are its output channels."""

    kernel_size: int
    stride: int
    padding: int
    groups: int
    channels: int


class ScaleNetwork(nn.Module):
    """One rate: a long first convolution, grouped strided ones, one more, the logits; all 1-D.

    Args:
        inner: grouped convolutions, in order.
        n_filters: channels of the first map.
        max_filters: upper limit of a map's channels.
        channels: audio channels.
        negative_slope: negative slope of the leaky ReLU.
        first_padding: padding of the first convolution.
        spectral: whether weights have spectral norm; otherwise weight norm.
        kernel_sizes: kernel sizes of the first convolution, the last one and the one that gives the logits.
    """

    def __init__(
        self,
        inner: Sequence[InnerConv],
        n_filters: int,
        max_filters: int,
        channels: int,
        negative_slope: float,
        first_padding: Literal["reflect", "zeros"],
        spectral: bool,
        kernel_sizes: tuple[int, int, int],
    ) -> None:
        super().__init__()
        normed = spectral_norm if spectral else weight_norm
        first, last, logits = kernel_sizes
        convs = [normed(nn.Conv1d(channels, n_filters, first, padding=first // 2, padding_mode=first_padding))]
        width = n_filters
        for conv in inner:
            shape = (conv.kernel_size, conv.stride, conv.padding)
            convs.append(normed(nn.Conv1d(width, conv.channels, *shape, groups=conv.groups)))
            width = conv.channels
        wider = min(2 * width, max_filters)
        convs.append(normed(nn.Conv1d(width, wider, last, padding=last // 2)))
        self.stack = ConvStack(convs, negative_slope)
        self.post = normed(nn.Conv1d(wider, 1, logits, padding=logits // 2))

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """``[B, C, N]`` to logits ``[B, 1, T]`` and one map per convolution."""
        features = self.stack(audio)
        return DiscriminatorOutput(self.post(features[-1]), features)


class MultiScaleDiscriminator(Discriminator):
    """Multi-scale waveform discriminator (MelGAN; SoundStream; EnCodec's comparison, section 4.5.1 and A.1).

    The full rate is normalized spectrally and lower ones by weight norm (EnCodec A.1). DAC's optional one is
    ``rates=[1, 2], downsampling="sinc", negative_slope=0.1, first_padding="zeros", spectral=False,
    normalize_input=True``. AudioCraft computes its pooled audio but gives every scale the full rate: ``rates=[1, 1]``
    without spectral norm; its ``kernel_sizes`` are here the last two, and the first is their product, and its
    ``downsample_scales`` are ``conv_strides``.

    Args:
        rates: factors by which the sample rate is divided, one sub-network each.
        n_filters: channels of the first map; each stride multiplies them, up to ``max_filters``.
        max_filters: upper limit of a map's channels.
        channels: audio channels, joined in the first convolution.
        conv_strides: strides of the grouped convolutions, of kernel ``10 * stride + 1`` and padding ``5 * stride``.
        negative_slope: negative slope of the leaky ReLU.
        downsampling: method of ``downsampled``: ``pool`` (MelGAN) or ``sinc`` (DAC).
        first_padding: padding of the first convolution.
        spectral: whether sub-networks at the full rate have spectral norm; otherwise weight norm.
        normalize_input: whether each item and channel first loses its mean and gets a peak of 0.8.
        kernel_sizes: kernel sizes of the first convolution, the last one and the one that gives the logits; odd.
        channels_per_group: input channels per group of the grouped convolutions, at least 1.
        inner_kernel_sizes: kernel size of each grouped convolution; None is ``10 * stride + 1``.
        groups: number of groups of each grouped convolution; None follows from ``channels_per_group``.
        inner_strides: stride of each grouped convolution; None is ``conv_strides``, which otherwise only determine the
            padding and the factors of the channels.
        paddings: padding of each grouped convolution; None is ``5 * stride``.

    Raises:
        ValueError: a rate is not positive, or not a power of two with ``pool``; a kernel size is even; or a list does
            not have one value for each grouped convolution.
    """

    def __init__(
        self,
        rates: Sequence[int] = (1, 2, 4),
        n_filters: int = 16,
        max_filters: int = 1024,
        channels: int = 1,
        conv_strides: Sequence[int] = (4, 4, 4, 4),
        negative_slope: float = 0.2,
        downsampling: Downsampling = "pool",
        first_padding: Literal["reflect", "zeros"] = "reflect",
        spectral: bool = True,
        normalize_input: bool = False,
        kernel_sizes: tuple[int, int, int] = (15, 5, 3),
        channels_per_group: int = 4,
        inner_kernel_sizes: Sequence[int] | None = None,
        groups: Sequence[int] | None = None,
        inner_strides: Sequence[int] | None = None,
        paddings: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if any(size < 1 or size % 2 == 0 for size in kernel_sizes) or channels_per_group < 1:
            raise ValueError(
                f"kernel_sizes are {list(kernel_sizes)} and channels_per_group is {channels_per_group}; "
                "kernel_sizes should be odd numbers such as [15, 5, 3], and channels_per_group at least 1"
            )
        if any(rate < 1 or (downsampling == "pool" and rate & (rate - 1)) for rate in rates):
            raise ValueError(
                f"rates are {list(rates)}; they should be positive, and powers of two with downsampling 'pool'"
            )
        self.rates = list(rates)
        self.n_filters = n_filters
        self.max_filters = max_filters
        self.channels = channels
        self.conv_strides = list(conv_strides)
        self.negative_slope = negative_slope
        self.downsampling: Downsampling = downsampling
        self.first_padding = first_padding
        self.spectral = spectral
        self.normalize_input = normalize_input
        self.kernel_sizes = kernel_sizes
        self.channels_per_group = channels_per_group
        self.inner_kernel_sizes = inner_kernel_sizes
        self.groups = groups
        self.inner_strides = inner_strides
        self.paddings = paddings
        inner = self._inner()
        self.networks = nn.ModuleList(
            ScaleNetwork(
                inner,
                n_filters,
                max_filters,
                channels,
                negative_slope,
                first_padding,
                spectral and rate == 1,
                kernel_sizes,
            )
            for rate in rates
        )

    def _inner(self) -> list[InnerConv]:
        given = {name: getattr(self, name) for name in ("inner_kernel_sizes", "groups", "inner_strides", "paddings")}
        for name, values in given.items():
            if values is not None and len(values) != len(self.conv_strides):
                raise ValueError(
                    f"{name} are {list(values)} and conv_strides are {self.conv_strides}; give one value per stride"
                )
        layers, width = [], self.n_filters
        for index, scale in enumerate(self.conv_strides):
            wider = min(width * scale, self.max_filters)
            defaults = (10 * scale + 1, max(width // self.channels_per_group, 1), scale, 5 * scale)
            size, groups, stride, padding = (
                value if values is None else values[index]
                for value, values in zip(defaults, given.values(), strict=True)
            )
            layers.append(InnerConv(size, stride, padding, groups, wider))
            width = wider
        return layers

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one output per rate, in order.

        Raises:
            ValueError: ``audio`` has other channels, or too few samples for the first convolution at the lowest rate.
        """
        check_audio(audio, self.channels, (self.kernel_sizes[0] // 2 + 1) * max(self.rates), type(self).__name__)
        if self.normalize_input:
            audio = peak_normalized(audio)
        return [
            network(downsampled(audio, rate, self.downsampling))
            for rate, network in zip(self.rates, self.networks, strict=True)
        ]
