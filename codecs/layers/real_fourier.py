"""Fourier transforms as real convolutions, for formats and engines without complex numbers.

The filters are the transform's windowed sine and cosine waves. The results equal those of ``torch.stft`` and ``irfft``
up to the rounding of float32. ``STFT.exportable`` and ``InverseSTFT.exportable`` create these modules.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def waves(window: Tensor) -> Tensor:
    """The ``F = n_fft // 2 + 1`` windowed waves, first real, then imaginary parts, ``float64 [2 F, n_fft]``."""
    n_fft = len(window)
    bins = torch.arange(n_fft // 2 + 1)[:, None]
    angles = bins * torch.arange(n_fft) % n_fft * (2 * math.pi / n_fft)
    return torch.cat([angles.cos(), -angles.sin()]) * window.double()


class RealSTFT(nn.Module):
    """Windows of audio to real and imaginary parts of their spectra, without padding.

    Args:
        window: window function, as long as the transform.
        hop_length: samples between windows.
    """

    waves: Tensor

    def __init__(self, window: Tensor, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        self.register_buffer("waves", waves(window)[:, None].float())

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to ``[B, C, T, 2 F]``, real parts first."""
        spectra = F.conv1d(audio.flatten(0, 1)[:, None], self.waves, stride=self.hop_length)
        return spectra.transpose(1, 2).unflatten(0, audio.shape[:2])


class RealInverseSTFT(nn.Module):
    """Real and imaginary parts of spectra to audio, equal to ``InverseSTFT``.

    Args:
        window: window function ``[W]``, as long as the transform.
        hop_length: samples between spectra.
        begin: samples of the overlapping windows' sum before the audio.
        end: samples of that sum after the audio.
        frames_before: number of spectra before the audio.
    """

    waves: Tensor
    squares: Tensor

    def __init__(self, window: Tensor, hop_length: int, begin: int, end: int, frames_before: int) -> None:
        super().__init__()
        self.hop_length, self.begin, self.end, self.frames_before = hop_length, begin, end, frames_before
        length = len(window)
        # One-sided spectra: bins between the first and the middle one also represent their mirror images, so they count
        # twice.
        counts = torch.full((length // 2 + 1,), 2.0, dtype=torch.float64)
        counts[0] = 1
        if length % 2 == 0:
            counts[-1] = 1
        scaled = waves(window) * counts.repeat(2)[:, None] / length
        self.register_buffer("waves", scaled[:, None].float())
        self.register_buffer("squares", window.square()[None, None].float())

    def forward(self, spectrum: Tensor) -> Tensor:
        """``[B, C, 2 F, T]``, real parts first, to ``[B, C, N]``."""
        added = F.conv_transpose1d(spectrum.flatten(0, 1), self.waves, stride=self.hop_length)
        ones = torch.ones_like(spectrum[:1, 0, :1])
        weight = F.conv_transpose1d(ones, self.squares, stride=self.hop_length)
        stop = added.shape[-1] - self.end
        audio = added[..., self.begin : stop] / weight[..., self.begin : stop]
        return audio[:, 0].unflatten(0, spectrum.shape[:2])
