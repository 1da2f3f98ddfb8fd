"""The STFT losses of ``auraloss`` (Steinmetz & Reiss 2020): multi-resolution, mel, and sum and difference of stereo."""

from collections.abc import Sequence

import torch
from auraloss.freq import MultiResolutionSTFTLoss as PackageMultiResolution
from auraloss.freq import STFTLoss as PackageSTFT
from torch import Tensor, nn

from codeclab.codecs.layers.mel import mel_filterbank
from codeclab.codecs.wording import counted
from codeclab.experiments.train.losses.base import ReconstructionLoss

FFT_SIZES = (1024, 2048, 512)
HOP_SIZES = (120, 240, 50)
WIN_LENGTHS = (600, 1200, 240)


class _SpectralConvergence(nn.Module):
    """Spectral convergence (Arik et al. 2018, eq. 3) of each signal, and the mean over them."""

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Magnitudes ``[B * C, bins, frames]`` twice to a scalar."""
        return ((real - fake).norm(dim=(-2, -1)) / real.norm(dim=(-2, -1))).mean()


class _PackageLoss(ReconstructionLoss):
    """A loss of the package, with spectral convergence as a mean over the batch; its longest FFT is ``longest``."""

    def __init__(self, loss: nn.Module, longest: int) -> None:
        super().__init__()
        for part in loss.modules():
            if isinstance(part, PackageSTFT):
                part.spectralconv = _SpectralConvergence()
        self.loss = loss
        self.longest = longest

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar.

        Raises:
            ValueError: the audio is too short for the reflection padding of the longest FFT.
        """
        if fake.shape[-1] <= self.longest // 2:
            raise ValueError(
                f"audio has {counted(fake.shape[-1], 'sample')}; an FFT of {self.longest} needs more than "
                f"{self.longest // 2} to reflect"
            )
        with torch.autocast(fake.device.type, enabled=False):
            return self.loss(fake.float().contiguous(), real.float().contiguous())


class MultiResolutionSTFTLoss(_PackageLoss):
    """Multi-resolution STFT loss (Yamamoto et al. 2020, arXiv:1910.11480) as ``auraloss`` computes it.

    It is a mean over resolutions of spectral convergence and L1 distances. The package computes spectral convergence
    over the whole batch at once. Here it is the mean over the channels of all items, because every loss here is a mean
    over the batch.

    Args:
        sample_rate: sampling rate in Hz.
        fft_sizes: FFT lengths in samples, one per resolution.
        hop_sizes: hops in samples, one per resolution.
        win_lengths: window lengths in samples, one per resolution, at most ``fft_sizes``.
        w_sc: weight of spectral convergence.
        w_log_mag: weight of the L1 distance of log magnitudes.
        w_lin_mag: weight of the L1 distance of magnitudes.
        perceptual_weighting: whether both signals are first filtered by the A curve.

    Raises:
        ValueError: the lists have different lengths, or a hop, window and FFT do not fit together.
    """

    def __init__(
        self,
        sample_rate: int,
        fft_sizes: Sequence[int] = FFT_SIZES,
        hop_sizes: Sequence[int] = HOP_SIZES,
        win_lengths: Sequence[int] = WIN_LENGTHS,
        w_sc: float = 1.0,
        w_log_mag: float = 1.0,
        w_lin_mag: float = 0.0,
        perceptual_weighting: bool = False,
    ) -> None:
        _check(fft_sizes, hop_sizes, win_lengths)
        loss = PackageMultiResolution(
            list(fft_sizes),
            list(hop_sizes),
            list(win_lengths),
            w_sc=w_sc,
            w_log_mag=w_log_mag,
            w_lin_mag=w_lin_mag,
            sample_rate=sample_rate,
            perceptual_weighting=perceptual_weighting,
        )
        super().__init__(loss, max(fft_sizes))
        self.sample_rate = sample_rate
        self.fft_sizes, self.hop_sizes, self.win_lengths = list(fft_sizes), list(hop_sizes), list(win_lengths)
        self.w_sc, self.w_log_mag, self.w_lin_mag = w_sc, w_log_mag, w_lin_mag
        self.perceptual_weighting = perceptual_weighting


class MelSTFTLoss(_PackageLoss):
    """The STFT loss of ``auraloss`` on mel bands (Slaney's scale and areas, as librosa's), of one resolution.

    Args:
        sample_rate: sampling rate in Hz.
        fft_size: FFT length in samples.
        hop_size: hop in samples.
        win_length: window length in samples, at most ``fft_size``.
        n_mels: number of mel bands.
        w_sc: weight of spectral convergence, of each channel of each item.
        w_log_mag: weight of the L1 distance of log mels.
        w_lin_mag: weight of the L1 distance of mels.

    Raises:
        ValueError: hop, window and FFT do not fit together, or there are too many mel bands.
    """

    def __init__(
        self,
        sample_rate: int,
        fft_size: int = 1024,
        hop_size: int = 256,
        win_length: int = 1024,
        n_mels: int = 128,
        w_sc: float = 1.0,
        w_log_mag: float = 1.0,
        w_lin_mag: float = 0.0,
    ) -> None:
        _check([fft_size], [hop_size], [win_length])
        if not 1 <= n_mels <= fft_size // 2 + 1:
            raise ValueError(f"n_mels is {n_mels}; an FFT of {fft_size} has room for 1 to {fft_size // 2 + 1}")
        loss = PackageSTFT(fft_size, hop_size, win_length, w_sc=w_sc, w_log_mag=w_log_mag, w_lin_mag=w_lin_mag)
        # The package gets the filters from librosa; ours are equal, so that librosa is not needed.
        filters = mel_filterbank(sample_rate, fft_size, n_mels, "slaney")
        loss.register_buffer("fb", filters.T[None].contiguous(), persistent=False)
        loss.scale = "mel"
        super().__init__(loss, fft_size)
        self.sample_rate = sample_rate
        self.fft_size, self.hop_size, self.win_length, self.n_mels = fft_size, hop_size, win_length, n_mels
        self.w_sc, self.w_log_mag, self.w_lin_mag = w_sc, w_log_mag, w_lin_mag


class SumAndDifferenceSTFTLoss(MultiResolutionSTFTLoss):
    """``MultiResolutionSTFTLoss`` of the sum and of the difference of two channels (arXiv:2010.10291, section 3.2).

    Args:
        sample_rate: sampling rate in Hz.
        fft_sizes: FFT lengths in samples, one per resolution.
        hop_sizes: hops in samples, one per resolution.
        win_lengths: window lengths in samples, one per resolution, at most ``fft_sizes``.
        w_sc: weight of spectral convergence.
        w_log_mag: weight of the L1 distance of log magnitudes.
        w_lin_mag: weight of the L1 distance of magnitudes.
        perceptual_weighting: whether both signals are first filtered by the A curve.
        w_sum: weight of the sum of the channels.
        w_diff: weight of their difference.

    Raises:
        ValueError: the lists have different lengths, or a hop, window and FFT do not fit together.
    """

    channels = 2

    def __init__(
        self,
        sample_rate: int,
        fft_sizes: Sequence[int] = FFT_SIZES,
        hop_sizes: Sequence[int] = HOP_SIZES,
        win_lengths: Sequence[int] = WIN_LENGTHS,
        w_sc: float = 1.0,
        w_log_mag: float = 1.0,
        w_lin_mag: float = 0.0,
        perceptual_weighting: bool = False,
        w_sum: float = 1.0,
        w_diff: float = 1.0,
    ) -> None:
        super().__init__(
            sample_rate, fft_sizes, hop_sizes, win_lengths, w_sc, w_log_mag, w_lin_mag, perceptual_weighting
        )
        self.w_sum, self.w_diff = w_sum, w_diff

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, 2, N]``, as a scalar.

        Raises:
            ValueError: the audio is not stereo, or too short for the reflection padding of the longest FFT.
        """
        if fake.shape[1] != self.channels:
            raise ValueError(f"audio has {fake.shape[1]} channel(s); it should have 2 for a sum and a difference")
        pairs = ((fake[:, :1], fake[:, 1:]), (real[:, :1], real[:, 1:]))
        total = super().forward(*(left + right for left, right in pairs))
        difference = super().forward(*(left - right for left, right in pairs))
        return (self.w_sum * total + self.w_diff * difference) / 2


def _check(fft_sizes: Sequence[int], hop_sizes: Sequence[int], win_lengths: Sequence[int]) -> None:
    if not len(fft_sizes) == len(hop_sizes) == len(win_lengths) > 0:
        raise ValueError(
            f"{len(fft_sizes)} fft_sizes, {len(hop_sizes)} hop_sizes and {len(win_lengths)} win_lengths; a resolution "
            "is one of each, as in fft_sizes [1024, 512], hop_sizes [256, 128], win_lengths [1024, 512]"
        )
    for fft, hop, window in zip(fft_sizes, hop_sizes, win_lengths, strict=True):
        if not 0 < hop <= window <= fft:
            raise ValueError(
                f"the FFT is {fft}, the hop {hop} and the window {window}; they should satisfy 0 < hop <= window <= FFT"
            )
