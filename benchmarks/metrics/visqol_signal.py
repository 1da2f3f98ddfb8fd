"""A signal as ViSQOL looks at it, whose filtered frames and envelopes are computed once."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, rfft
from visqol.analysis_window import AnalysisWindow
from visqol.gammatone import SPEECH_MODE_MAX_FREQ, GammatoneSpectrogramBuilder, make_erb_filters
from visqol.visqol_manager import OVERLAP

from codeclab.benchmarks.metrics.visqol_kernels import gammatone_coefficients, gammatone_frames

if TYPE_CHECKING:
    from numpy import complex128, float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

CACHED_SPECTRA = 64
"""Largest number of a signal's pieces whose spectra are cached: those of half a minute, some 40 MB."""


class Bank:
    """ViSQOL's analysis of one mode at one sampling rate.

    Args:
        builder: visqol-python's builder of the mode's spectrograms.
        sample_rate: sample rate in Hz.
    """

    def __init__(self, builder: GammatoneSpectrogramBuilder, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.window = AnalysisWindow(sample_rate, OVERLAP)
        self.size: int = self.window.size
        self.hop: int = self.window.hop_size
        self.bands: int = builder.filter_bank.num_bands
        highest = SPEECH_MODE_MAX_FREQ if builder.speech_mode else sample_rate / 2
        filters = make_erb_filters(sample_rate, self.bands, builder.filter_bank.min_freq, highest)
        self.coefficients = gammatone_coefficients(filters.filter_coeffs[:, ::-1])


class Signal:
    """Mono samples ``[N]`` with what ViSQOL computes of them, each once.

    Args:
        samples: mono samples ``[N]``.
        bank: filters and window of the analysis.
    """

    def __init__(self, samples: "Floats", bank: Bank) -> None:
        self.samples = np.ascontiguousarray(samples)
        self.bank = bank
        self._frames: dict[int, Floats] = {}
        self._spectra: dict[tuple[int, int, int], NDArray[complex128]] = {}

    def frames(self, first: int, count: int) -> "Floats":
        """The gammatone spectrogram ``[bands, frames]`` of ``count`` samples from ``first`` on.

        A frame is filtered on its own: it is the same in whichever piece of the signal it lies.
        """
        bank = self.bank
        starts = range(first, first + count - bank.size + 1, bank.hop)
        missing = [start for start in starts if start not in self._frames]
        if missing:
            frames = gammatone_frames(self.samples, np.array(missing), bank.window.hann_window, bank.coefficients)
            self._frames |= zip(missing, frames[:, : bank.bands], strict=True)
        return np.stack([self._frames[start] for start in starts], axis=1)

    @cached_property
    def spectrogram(self) -> "Floats":
        """The gammatone spectrogram of the whole signal, ``[bands, frames]``.

        Raises:
            ValueError: the signal is no longer than a window.
        """
        if len(self.samples) <= self.bank.size:
            raise ValueError(
                f"Too few samples ({len(self.samples)}) to build spectrogram ({self.bank.size} required minimum)."
            )
        return self.frames(0, len(self.samples))

    def lag(self, first: int, last: int, other: "Floats") -> int:
        """Samples by which ``other`` is ahead of the piece from ``first`` to ``last``; 0 if over half of the piece."""
        longest = max(last - first, len(other))
        points = 1 << (2 * longest - 2).bit_length()
        product = self._spectrum(first, last, points) * np.conj(rfft(envelope(other), n=points))
        correlation = irfft(product, n=points)
        most = longest - 1
        best = int(np.argmax(np.concatenate((correlation[-most:], correlation[: most + 1])))) - most
        return 0 if abs(best) > (last - first) / 2 else best

    def _spectrum(self, first: int, last: int, points: int) -> "NDArray[complex128]":
        key = first, last, points
        if key in self._spectra:
            return self._spectra[key]
        spectrum: NDArray[complex128] = rfft(envelope(self.samples[first:last]), n=points)
        if len(self._spectra) < CACHED_SPECTRA:
            self._spectra[key] = spectrum
        return spectrum


def envelope(samples: "Floats") -> "Floats":
    """The upper envelope: the magnitude of the analytic signal, about the mean."""
    mean = samples.mean()
    centred = samples - mean
    turned = -1j * rfft(centred)
    turned[0] = 0
    if len(samples) % 2 == 0:
        turned[-1] = 0
    hilbert = irfft(turned, n=len(samples))
    amplitude: Floats = np.sqrt(centred * centred + hilbert * hilbert) + mean
    return amplitude
