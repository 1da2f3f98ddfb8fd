"""DAC's multi-band multi-scale complex STFT discriminator."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from codeclab.codecs.layers.stft import STFT
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.layers import ConvStack, check_audio, conv2d, outputs_of, peak_normalized, spectrum_maps

Bands = Sequence[tuple[float, float]]


class BandNetwork(nn.Module):
    """One window: a stack of convolutions per frequency band, joined on frequency before the logits.

    Args:
        window_length: STFT window in samples.
        hop_length: samples between frames.
        bands: each band's edges as fractions of the bins.
        n_filters: channels of every hidden map.
        channels: audio channels.
        negative_slope: negative slope of the leaky ReLU.

    Raises:
        ValueError: a band contains no bin.
    """

    def __init__(
        self, window_length: int, hop_length: int, bands: Bands, n_filters: int, channels: int, negative_slope: float
    ) -> None:
        super().__init__()
        self.stft = STFT(window_length, hop_length, padding="matched")
        n_bins = window_length // 2 + 1
        self.edges = [(int(low * n_bins), int(high * n_bins)) for low, high in bands]
        if any(low >= high for low, high in self.edges):
            raise ValueError(
                f"bands {bands} of a window of length {window_length} are the bins {self.edges}; one is empty, "
                "and each should contain a bin"
            )
        self.stacks = nn.ModuleList(self._stack(n_filters, channels, negative_slope) for _ in bands)
        self.post = conv2d(n_filters, 1, (3, 3))

    @staticmethod
    def _stack(n_filters: int, channels: int, negative_slope: float) -> ConvStack:
        strided = [conv2d(n_filters, n_filters, (3, 9), stride=(1, 2)) for _ in range(3)]
        convs = [conv2d(2 * channels, n_filters, (3, 9)), *strided, conv2d(n_filters, n_filters, (3, 3))]
        return ConvStack(convs, negative_slope)

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """``[B, C, N]`` to logits ``[B, 1, T, F']`` and all maps of the lowest band, then of the next, and so on."""
        maps = spectrum_maps(self.stft(audio))
        per_band = [stack(band) for stack, band in zip(self.stacks, self._bands_of(maps), strict=True)]
        logits = self.post(torch.cat([features[-1] for features in per_band], dim=-1))
        return DiscriminatorOutput(logits, [feature for features in per_band for feature in features])

    def _bands_of(self, maps: Tensor) -> Sequence[Tensor]:
        """The bins of each band of ``maps [B, 2 C, T, F]``."""
        if all(high == low for (_, high), (low, _) in pairwise([(0, 0), *self.edges, (maps.shape[-1],) * 2])):
            # Adjoining bands have one gradient, joined; slices would each have one of the whole spectrum, to be added.
            return maps.split([high - low for low, high in self.edges], dim=-1)
        return [maps[..., low:high] for low, high in self.edges]


class MultiBandSTFTDiscriminator(Discriminator):
    """Complex STFT discriminator at several windows, split into bands (DAC section 3.4; defaults as released).

    Args:
        window_lengths: STFT windows in samples, one sub-network each.
        bands: each band's edges as fractions of the bins, lowest first; the whole spectrum is ``[[0, 1]]``.
        n_filters: channels of every hidden map.
        channels: audio channels, joined in the first convolution.
        hop_factor: hop as a fraction of the window.
        negative_slope: negative slope of the leaky ReLU.
        normalize_input: whether each item and channel first loses its mean and gets a peak of 0.8.

    Raises:
        ValueError: a band contains no bin at one of the windows.
    """

    def __init__(
        self,
        window_lengths: Sequence[int] = (2048, 1024, 512),
        bands: Bands = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)),
        n_filters: int = 32,
        channels: int = 1,
        hop_factor: float = 0.25,
        negative_slope: float = 0.1,
        normalize_input: bool = True,
    ) -> None:
        super().__init__()
        self.window_lengths = list(window_lengths)
        self.bands = list(bands)
        self.n_filters = n_filters
        self.channels = channels
        self.hop_factor = hop_factor
        self.negative_slope = negative_slope
        self.normalize_input = normalize_input
        networks = [
            BandNetwork(window, int(window * hop_factor), bands, n_filters, channels, negative_slope)
            for window in window_lengths
        ]
        self.networks = nn.ModuleList(networks)
        self.min_samples = max(network.stft.min_samples for network in networks)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one output per window, in order.

        Raises:
            ValueError: ``audio`` has other channels, or is too short for the longest window.
        """
        check_audio(audio, self.channels, self.min_samples, type(self).__name__)
        if self.normalize_input:
            audio = peak_normalized(audio)
        return outputs_of(self.networks, audio)
