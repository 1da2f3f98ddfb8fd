"""DAC's mel distance: how far two log-mel spectrograms are apart, over several windows."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from codeclab.benchmarks.metrics.registry import metric
from codeclab.benchmarks.metrics.signals import check_pair
from codeclab.benchmarks.metrics.spectral_distance import distance_from
from codeclab.codecs.layers.mel import MelSpectrogram, joined_spectra
from codeclab.codecs.wording import counted

WINDOW_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048)
N_MELS = (5, 10, 20, 40, 80, 160, 320)
SMALLEST = 1e-5


class Spectra(NamedTuple):
    """Mels of all windows one after the other, ``[M]``, their logarithms, and how many numbers each window has."""

    mels: Tensor
    logarithms: Tensor
    sizes: list[int]


class MelDistance(nn.Module):
    """L1 between log10-mel spectrograms, summed over windows (DAC, section 3.5; released code).

    ``sum_i w_log mean|log10 S_i(x) - log10 S_i(x')| + w_mag mean|S_i(x) - S_i(x')|``, ``S_i`` Slaney mels of the
    magnitude, clamped to at least 1e-5 in the logarithm, centred Hann windows, hop a quarter of the window. The
    released code's exponent inside the logarithm is a factor: its ``pow = 2`` is ``log_weight = 2``.

    Args:
        sample_rate: sample rate in Hz.
        window_lengths: STFT windows in samples.
        n_mels: mel bands, one number per window.
        log_weight: weight of the distance between logarithms.
        magnitude_weight: weight of the distance between magnitudes.
        f_min: lowest frequency in Hz, of all windows or one each.
        f_max: highest frequency in Hz, likewise; None is half the sample rate.
        floor: least magnitude in the logarithm.

    Raises:
        ValueError: ``n_mels``, or a list of frequencies, does not match ``window_lengths``.
    """

    def __init__(
        self,
        sample_rate: int,
        window_lengths: Sequence[int] = WINDOW_LENGTHS,
        n_mels: Sequence[int] = N_MELS,
        log_weight: float = 1.0,
        magnitude_weight: float = 0.0,
        f_min: float | list[float] = 0.0,
        f_max: float | list[float | None] | None = None,
        floor: float = SMALLEST,
    ) -> None:
        super().__init__()
        lowest = list(f_min) if isinstance(f_min, Sequence) else [f_min] * len(window_lengths)
        highest = list(f_max) if isinstance(f_max, Sequence) else [f_max] * len(window_lengths)
        for name, given in (("n_mels", n_mels), ("f_min", lowest), ("f_max", highest)):
            if len(window_lengths) != len(given) or not given:
                raise ValueError(
                    f"{name} has {counted(len(given), 'value')} for {len(window_lengths)} window_lengths; give one each"
                )
        self.sample_rate, self.window_lengths, self.n_mels = sample_rate, list(window_lengths), list(n_mels)
        self.f_min, self.f_max = f_min, f_max
        self.log_weight = log_weight
        self.magnitude_weight = magnitude_weight
        self.floor = floor
        self.spectrograms = nn.ModuleList(
            MelSpectrogram(sample_rate, window, mels, f_min=low, f_max=high)
            for window, mels, low, high in zip(window_lengths, n_mels, lowest, highest, strict=True)
        )

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """``[B, C, N]`` twice to a scalar, a mean over the batch; 0 for equal signals."""
        return self.distance(estimate, self.spectra(reference))

    def spectra(self, audio: Tensor) -> Spectra:
        """The mels of audio ``[B, C, N]``, and their logarithms."""
        mels, sizes = joined_spectra(self.spectrograms, audio)
        return Spectra(mels, mels.clamp(min=self.floor).log10(), sizes)

    def distance(self, estimate: Tensor, reference: Spectra) -> Tensor:
        """The distance of ``forward``, from the spectra of the reference."""
        mels, logarithms, sizes = self.spectra(estimate)
        distances = (logarithms - reference.logarithms).abs() * self.log_weight
        if self.magnitude_weight:
            distances = distances + self.magnitude_weight * (mels - reference.mels).abs()
        return torch.stack([distance.mean() for distance in distances.split(sizes)]).sum()


_distance_at = lru_cache(maxsize=8)(MelDistance)


@metric("Mel distance", higher_is_better=False, prepared="mel_distance_from", matched_too=True, order=30)
def mel_distance(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Mel distance of DAC's tables (section 4.4: the loss of section 3.5); lower is better, 0 for equal signals.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate in Hz.

    Returns:
        the distance; NaN where the reference is silent.

    Raises:
        ValueError: the shapes differ, or the clip is shorter than half the longest window.
    """
    check_pair(reference, estimate)
    return mel_distance_from(reference, sample_rate)(estimate)


def mel_distance_from(reference: Tensor, sample_rate: int) -> Callable[[Tensor], float]:
    """``mel_distance`` of any number of estimates from one reference, whose spectra are computed once."""
    return distance_from(_distance_at(sample_rate), reference)
