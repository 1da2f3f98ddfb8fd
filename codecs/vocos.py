"""Vocos' generator as a decoder: ConvNeXt blocks at the frame rate and an inverse STFT (Siuzdak 2023)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, check_sizes
from codeclab.codecs.layers.convnext import ChannelNorm, make_blocks
from codeclab.codecs.layers.convolution import PaddedConv1d, TrimmedConvTranspose1d
from codeclab.codecs.layers.inverse_stft import InverseSTFT
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.real_fourier import RealInverseSTFT
from codeclab.codecs.layers.streaming import Begin, Chain, Pointwise, layer_stream
from codeclab.codecs.spectral import stft_hop

LOUDEST = 1e2
"""Upper limit of a bin's magnitude, as in the released code."""

START_RMS = 0.01
"""Initial level of the output, which is below audio's, because most bins of a spectrum are."""

HEAD_SHARE = 0.3
"""Initial scale of the head's weights, relative to PyTorch's default, so that all frames are similar at first."""


class VocosDecoder(Decoder):
    """A latent at the rate of frames to the magnitudes and phases of spectra, and these to audio (Vocos, section 3.3).

    If spectra and latent have the same rate, this is Vocos' own generator. If ``hop`` is shorter than the latent's, a
    transposed convolution replaces its first layer and the norm after it.

    Args:
        dimension: latent channels ``D``.
        channels: audio channels.
        strides: factors whose product is the number of samples per latent frame; a first layer upsamples by it over
            ``hop``.
        n_fft: window and transform length in samples.
        hop: samples between spectra, a divisor of the strides' product; None is that product.
        width: channels of the blocks.
        n_blocks: number of blocks.
        expansion: hidden channels of a block as a multiple of ``width``.
        kernel_size: taps of the first convolution and of the blocks' depthwise ones, odd.
        causal: whether no sample depends on latent frames after its own.

    Raises:
        ValueError: a size is too small to build layers, or the hop does not divide the strides' product.
    """

    def __init__(
        self,
        dimension: int = 128,
        channels: int = 1,
        strides: Sequence[int] = (2, 4, 5, 8),
        n_fft: int = 1280,
        hop: int | None = None,
        width: int = 512,
        n_blocks: int = 8,
        expansion: float = 3.0,
        kernel_size: int = 7,
        causal: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(strides, dimension=dimension, channels=channels, n_fft=n_fft, width=width, n_blocks=n_blocks)
        self.dimension = dimension
        self.channels = channels
        self.strides = list(strides)
        self.n_fft = n_fft
        self.hop = hop
        self.width = width
        self.n_blocks = n_blocks
        self.expansion = expansion
        self.kernel_size = kernel_size
        self.causal = causal
        self.hop_length = math.prod(strides)
        step = stft_hop(strides, hop, n_fft)
        self.istft = InverseSTFT(n_fft, step, causal)
        self.up = self.hop_length // step
        # Zero frames before the latent, from which the spectra before the audio are computed, and the surplus of these.
        self._before = -(-self.istft.frames_before // self.up)
        self._surplus = self._before * self.up - self.istft.frames_before
        self.embed: nn.Module
        if self.up == 1:
            convolution = PaddedConv1d(dimension, width, kernel_size, 1, 1, causal, "none", "constant")
            self.embed = nn.Sequential(convolution, ChannelNorm(width))
        else:
            self.embed = TrimmedConvTranspose1d(dimension, width, 2 * self.up, self.up, causal, "none")
        self.blocks = make_blocks(width, n_blocks, expansion, kernel_size, causal)
        self.final_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 2 * channels * (n_fft // 2 + 1))
        self._start_quiet()

    @torch.no_grad()
    def _start_quiet(self) -> None:
        """Initialise the head for flat, similar spectra of the level ``START_RMS``."""
        # Inverse transforms of bins of magnitude 1 have an rms of n_fft ** -0.5; the overlapping windows lower it.
        windows = float(self.istft.window.square().sum()) / self.istft.hop_length
        unit = (self.n_fft * windows) ** -0.5
        self.head.weight *= HEAD_SHARE
        self.head.bias.zero_()
        self.head.bias[: self.channels * (self.n_fft // 2 + 1)] = math.log(START_RMS / unit)

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to ``[B, C, T * hop_length]``."""
        frames = self.blocks(self.embed(F.pad(latent, (self._before, 0))))
        return self.istft(self._spectrum(self._numbers(frames))[..., self._surplus :])

    def stream(self) -> LayerStream:
        """A stream through the layers and the overlap-add."""
        return Chain(
            [
                Begin(added=self._before),
                layer_stream(self.embed),
                layer_stream(self.blocks),
                Pointwise(self._numbers),
                Begin(cut=self._surplus),
                self.istft.stream(self._spectrum, self.channels),
            ]
        )

    def _numbers(self, frames: Tensor) -> Tensor:
        """The head's output, log-magnitudes and angles, ``[B, 2 C F, T]``."""
        return self.head(self.final_norm(frames.transpose(1, 2))).transpose(1, 2)

    def _spectrum(self, numbers: Tensor) -> Tensor:
        """The head's output ``[B, 2 C F, T]`` as a complex spectrum ``[B, C, F, T]``, in a graph ``[B, C, 2 F, T]``."""
        with torch.autocast(numbers.device.type, enabled=False):
            magnitudes, angles = numbers.float().unflatten(1, (2, self.channels, -1)).unbind(1)
            magnitudes = magnitudes.exp().clamp(max=LOUDEST)
            if isinstance(self.istft, RealInverseSTFT):
                return torch.cat([magnitudes * angles.cos(), magnitudes * angles.sin()], dim=2)
            return torch.polar(magnitudes, angles)
