"""An encoder that mirrors Vocos: spectra, ConvNeXt blocks at the frame rate, a latent."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.base import Encoder, check_sizes
from codeclab.codecs.layers.convnext import make_blocks
from codeclab.codecs.layers.convolution import PaddedConv1d
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.sliding_window import SlidingWindow
from codeclab.codecs.layers.stft import STFT
from codeclab.codecs.layers.streaming import Chain, layer_stream

COMPRESSION = 0.4
"""Exponent that compresses magnitudes, so that loud and quiet bins differ less."""

QUIETEST = 1e-5
"""Lower limit of magnitudes."""


def stft_hop(strides: Sequence[int], hop: int | None, n_fft: int) -> int:
    """The number of samples between spectra: ``hop``, or the product of the strides if it is None.

    Raises:
        ValueError: the hop does not divide the product of the strides, or the window is shorter than two hops.
    """
    total = math.prod(strides)
    hop = total if hop is None else hop
    if hop < 1 or total % hop:
        raise ValueError(f"hop is {hop}; it should divide the product of the strides, {total}")
    if n_fft < 2 * hop:
        raise ValueError(f"n_fft is {n_fft} and the hop between spectra {hop}; n_fft should be at least {2 * hop}")
    return hop


class SpectralEncoder(Encoder):
    """Short-time spectra, ConvNeXt blocks, and a strided convolution down to the latent's rate.

    This encoder is the counterpart of ``VocosDecoder``. All learnt layers run at the frame rate, a hundredth of the
    sampling rate or less. The features of a bin ``X`` are the real and imaginary part of ``X |X|^-0.6``, and ``0.3 log
    |X|``, so that loud and quiet recordings have similar features. Only the blocks' branches have norms, because the
    latent must represent the level of a frame.

    Args:
        dimension: latent channels ``D``.
        channels: audio channels.
        strides: factors whose product is the number of samples per latent frame; a last convolution downsamples by the
            product over ``hop``.
        n_fft: window and transform length in samples.
        hop: samples between spectra, a divisor of the strides' product; None is that product.
        width: channels of the blocks.
        n_blocks: number of blocks.
        expansion: hidden channels of a block as a multiple of ``width``.
        kernel_size: taps of the blocks' depthwise convolutions, odd.
        causal: whether no latent frame depends on samples after its own ``hop_length``.

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
        self.stft = STFT(n_fft, step)
        self.embed = nn.Conv1d(3 * channels * (n_fft // 2 + 1), width, 1)
        self.blocks = make_blocks(width, n_blocks, expansion, kernel_size, causal)
        down = self.hop_length // step
        kernel = 1 if down == 1 else 2 * down
        self.project = PaddedConv1d(width, dimension, kernel, down, causal=causal, norm="none", pad_mode="constant")

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, D, ceil(N / hop_length)]``."""
        return self.project(self.blocks(self.embed(self._features(audio))))

    def _padding(self, length: int) -> tuple[int, int]:
        """Zeros before and after audio of ``length`` samples."""
        overlap = self.n_fft - self.stft.hop_length
        before = overlap if self.causal else overlap // 2
        return before, overlap - before + -length % self.hop_length

    def _features(self, audio: Tensor) -> Tensor:
        """The input of the first layer for audio ``[B, C, N]``, ``[B, 3 C F, T]``."""
        return self._compressed(F.pad(audio, self._padding(audio.shape[-1])))

    def _compressed(self, audio: Tensor) -> Tensor:
        """The features of whole windows of ``[B, C, N]``."""
        spectrum = self.stft(audio)
        with torch.autocast(audio.device.type, enabled=False):
            if spectrum.is_complex():
                magnitude = spectrum.abs().clamp_min(QUIETEST)
                compressed = spectrum * magnitude.pow(COMPRESSION - 1)
                features = torch.cat([compressed.real, compressed.imag, 0.3 * magnitude.log()], dim=-1)
            else:  # a RealSTFT, in an exported graph
                magnitude = spectrum.unflatten(-1, (2, -1)).square().sum(-2).sqrt().clamp_min(QUIETEST)
                gain = magnitude.pow(COMPRESSION - 1)
                features = torch.cat([spectrum * torch.cat([gain, gain], dim=-1), 0.3 * magnitude.log()], dim=-1)
        return features.transpose(2, 3).flatten(1, 2)

    def stream(self) -> LayerStream:
        """A stream through the spectra and the layers."""
        before, after = self._padding(0)
        windows = SlidingWindow(
            self._compressed,
            *(self.embed.in_channels, self.n_fft, self.stft.hop_length, before),
            lambda length: self._padding(length)[1],
            *(after + self.hop_length - 1, "constant"),
        )
        return Chain([windows, layer_stream(self.embed), layer_stream(self.blocks), layer_stream(self.project)])
