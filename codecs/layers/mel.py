"""Mel spectrograms, in the two conventions of the papers."""

import warnings
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from codeclab.codecs.layers.fan_out import fan_out
from codeclab.codecs.layers.stft import STFT, Padding

MelScale = Literal["htk", "slaney"]


def mel_filterbank(
    sample_rate: int, window_length: int, n_mels: int, scale: MelScale, f_min: float = 0.0, f_max: float | None = None
) -> Tensor:
    """Triangular filters ``[window_length // 2 + 1, n_mels]`` from ``f_min`` Hz to ``f_max``, or half the sample rate.

    ``htk`` has unit peaks (AudioCraft), ``slaney`` unit areas (librosa's default, DAC). Many mels on a short window
    leave filters empty; they add nothing to a distance, so torchaudio's warning about them is silenced.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        return melscale_fbanks(
            n_freqs=window_length // 2 + 1,
            f_min=f_min,
            f_max=sample_rate / 2 if f_max is None else f_max,
            n_mels=n_mels,
            sample_rate=sample_rate,
            norm="slaney" if scale == "slaney" else None,
            mel_scale=scale,
        )


def joined_spectra(spectrograms: nn.ModuleList, audio: Tensor) -> tuple[Tensor, list[int]]:
    """Spectrograms of audio ``[B, C, N]``, flattened and joined to ``[M]``, and the number of values of each.

    Elementwise operations then take one call for all spectrograms.
    """
    views = fan_out(audio, len(spectrograms))
    parts = [spectrogram(view).flatten() for spectrogram, view in zip(spectrograms, views, strict=True)]
    return torch.cat(parts), [len(part) for part in parts]


class _PowerMels(torch.autograd.Function):
    """``parts.square() @ filterbank``, whose backward pass is one product and one multiplication."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor, filterbank: Tensor, slopes: Tensor) -> Tensor:
        ctx.save_for_backward(parts, slopes)
        return parts.square() @ filterbank

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        parts, slopes = ctx.saved_tensors
        return parts * (gradient @ slopes), None, None


class MelSpectrogram(nn.Module):
    """Mel spectrogram in float32 under any autocast.

    Args:
        sample_rate: sample rate in Hz.
        window_length: STFT window in samples; the hop is a quarter of it.
        n_mels: number of mel bands.
        scale: ``htk`` (unit peaks) or ``slaney`` (unit areas).
        power: exponent of the magnitudes, 1 (magnitude) or 2 (power spectrum).
        padding: padding of the STFT.
        normalized: whether the spectrum is divided by the window's L2 norm before the power is taken.
        f_min: lowest frequency in Hz.
        f_max: highest frequency in Hz; None is half the sample rate.

    Raises:
        ValueError: ``n_mels``, ``power`` or a frequency is out of range.
    """

    filterbank: Tensor
    slopes: Tensor

    def __init__(
        self,
        sample_rate: int,
        window_length: int,
        n_mels: int,
        scale: MelScale = "slaney",
        power: int = 1,
        padding: Padding = "centre",
        normalized: bool = False,
        f_min: float = 0.0,
        f_max: float | None = None,
    ) -> None:
        super().__init__()
        if n_mels < 1:
            raise ValueError(f"n_mels is {n_mels}; at least one band is needed")
        if power not in (1, 2):
            raise ValueError(f"power is {power}; it should be 1 (magnitude) or 2 (power)")
        if not 0 <= f_min < (sample_rate / 2 if f_max is None else f_max) <= sample_rate / 2:
            raise ValueError(
                f"f_min is {f_min} Hz, f_max {f_max} Hz; they should satisfy 0 <= f_min < f_max <= "
                f"{sample_rate / 2:g} Hz"
            )
        self.power = power
        self.stft = STFT(window_length, padding=padding, normalized=normalized)
        filterbank = mel_filterbank(sample_rate, window_length, n_mels, scale, f_min, f_max)
        if power == 2:  # the input is interleaved squares of real and imaginary parts; the product also adds each pair
            filterbank = filterbank.repeat_interleave(2, dim=0)
            self.register_buffer("slopes", 2 * filterbank.T.contiguous(), persistent=False)
        self.register_buffer("filterbank", filterbank, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to mels ``[B, C, T, n_mels]``."""
        spectrum = self.stft(audio)
        with torch.autocast(device_type=audio.device.type, enabled=False):
            if self.power == 1:
                return spectrum.abs() @ self.filterbank
            parts = torch.view_as_real(spectrum).flatten(-2)
            return cast(Tensor, _PowerMels.apply(parts, self.filterbank, self.slopes))
