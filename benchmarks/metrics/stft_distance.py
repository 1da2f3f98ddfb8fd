"""DAC's STFT distance: how far two log-magnitude spectrograms are apart."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from codeclab.benchmarks.metrics.registry import metric
from codeclab.benchmarks.metrics.signals import check_pair
from codeclab.benchmarks.metrics.spectral_distance import distance_from
from codeclab.codecs.layers.stft import STFT

WINDOW_LENGTHS = (2048, 512)
SMALLEST = 1e-5


class STFTDistance(nn.Module):
    """L1 between spectrograms, log10 and plain, summed over windows (DAC, section 4.4; released code).

    ``sum_i w_log mean|log10 |X_i| - log10 |X'_i|| + w_mag mean||X_i| - |X'_i||``, magnitudes clamped to at least 1e-5
    in the logarithm, centred Hann windows, hop a quarter of the window. The released code squares magnitudes inside the
    logarithm, which is the default ``log_weight`` of 2, and adds the plain term, of which the paper does not speak.

    Args:
        window_lengths: STFT windows in samples.
        log_weight: weight of the distance between logarithms.
        magnitude_weight: weight of the distance between magnitudes.
        floor: least magnitude in the logarithm.
    """

    def __init__(
        self,
        window_lengths: Sequence[int] = WINDOW_LENGTHS,
        log_weight: float = 2.0,
        magnitude_weight: float = 1.0,
        floor: float = SMALLEST,
    ) -> None:
        super().__init__()
        self.window_lengths = list(window_lengths)
        self.log_weight = log_weight
        self.magnitude_weight = magnitude_weight
        self.floor = floor
        self.stfts = nn.ModuleList(STFT(window, padding="centre") for window in window_lengths)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """``[B, C, N]`` twice to a scalar, a mean over the batch; 0 for equal signals."""
        return self.distance(estimate, self.spectra(reference))

    def spectra(self, audio: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The magnitudes ``[B, C, T, F]`` of audio ``[B, C, N]`` and their logarithms, window by window."""
        magnitudes = (stft(audio).abs() for stft in self.stfts)
        return [(magnitude, magnitude.clamp(min=self.floor).log10()) for magnitude in magnitudes]

    def distance(self, estimate: Tensor, reference: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The distance of ``forward``, from the spectra of the reference."""
        terms = []
        for own, other in zip(self.spectra(estimate), reference, strict=True):
            difference, logarithms = ((mine - theirs).abs().mean() for mine, theirs in zip(own, other, strict=True))
            terms.append(self.log_weight * logarithms + self.magnitude_weight * difference)
        return torch.stack(terms).sum()


_distance = lru_cache(maxsize=2)(STFTDistance)


@metric("STFT distance", higher_is_better=False, prepared="stft_distance_from", matched_too=True, order=31)
def stft_distance(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """STFT distance as DAC's released code has it: windows 2048 and 512; lower is better, 0 for equal signals.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: unused: windows are given in samples.

    Returns:
        the distance; NaN where the reference is silent.

    Raises:
        ValueError: the shapes differ, or the clip is shorter than half the longest window.
    """
    check_pair(reference, estimate)
    return stft_distance_from(reference, sample_rate)(estimate)


def stft_distance_from(reference: Tensor, sample_rate: int) -> Callable[[Tensor], float]:
    """``stft_distance`` of any number of estimates from one reference, whose spectra are computed once."""
    return distance_from(_distance(), reference)


@metric("STFT log distance", higher_is_better=False, prepared="stft_distance_log_from", order=32)
def stft_distance_log(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """STFT distance as DAC's text has it (section 4.4): log10 magnitudes alone, not squared; else as ``stft_distance``.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: unused.

    Returns:
        the distance; NaN where the reference is silent.

    Raises:
        ValueError: the shapes differ, or the clip is shorter than half the longest window.
    """
    check_pair(reference, estimate)
    return stft_distance_log_from(reference, sample_rate)(estimate)


def stft_distance_log_from(reference: Tensor, sample_rate: int) -> Callable[[Tensor], float]:
    """``stft_distance_log`` of any number of estimates from one reference, whose spectra are computed once."""
    return distance_from(_distance(log_weight=1.0, magnitude_weight=0.0), reference)
