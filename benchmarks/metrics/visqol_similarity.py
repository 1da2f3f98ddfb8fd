"""Similarity of two signals as ViSQOL measures it: visqol-python's steps, none of them twice for one original.

The parts of visqol-python that take little time are called; the others are in ``visqol_kernels`` and ``visqol_signal``.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from visqol.audio_utils import AudioSignal, scale_to_match_sound_pressure_level
from visqol.gammatone import Spectrogram, prepare_spectrograms_for_comparison
from visqol.nsim import PatchSimilarityResult, measure_patch_similarity
from visqol.visqol_core import (
    calc_per_patch_freq_band_quantile,
    calc_per_patch_mean_freq_band_deg_energy,
    calc_per_patch_mean_freq_band_means,
    calc_per_patch_mean_freq_band_stddevs,
)
from visqol.visqol_manager import VisqolManager

from codeclab.benchmarks.metrics.visqol_kernels import search_patches
from codeclab.benchmarks.metrics.visqol_signal import Bank, Signal

if TYPE_CHECKING:
    from numpy import float32, float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

DISSIMILAR = 0.15
"""Mean similarity below which the score is 1, whatever the mapping says."""


class Similarity(NamedTuple):
    """The input of a mapping to a score, ``[bands]`` each: moments of the patches' similarities, and the energy."""

    means: "Floats"
    low_means: "Floats"
    deviations: "Floats"
    energies: "Floats"

    def mapped(self, manager: VisqolManager) -> float:
        """The score under a manager's mapping."""
        mapper = manager.quality_mapper
        assert mapper is not None
        quality = mapper.predict_quality(*self)
        return 1.0 if self.means.mean() < DISSIMILAR else float(quality)


class AnalysedReference:
    """A reference, to compare any number of degraded signals with.

    Args:
        samples: mono samples ``[N]``.
        sample_rate: sample rate in Hz.
        manager: visqol-python's manager of the mode, audio or speech.
    """

    def __init__(self, samples: "NDArray[float32]", sample_rate: int, manager: VisqolManager) -> None:
        assert manager.spect_builder is not None
        assert manager.patch_creator is not None
        self._creator, self._search_window = manager.patch_creator, manager.search_window
        self._audio = AudioSignal(samples, sample_rate)
        self._signal = Signal(self._audio.data, Bank(manager.spect_builder, sample_rate))

    def compare(self, degraded: "NDArray[float32]") -> Similarity:
        """Similarity of a degraded signal ``[M]`` at the same sampling rate.

        Raises:
            ValueError: a signal is too short.
            IndexError: speech mode finds no voice.
        """
        bank = self._signal.bank
        samples = np.asarray(degraded, dtype=np.float64)
        samples = _moved(samples, self._signal.lag(0, len(self._signal.samples), samples))
        scaled = scale_to_match_sound_pressure_level(self._audio, AudioSignal(samples, bank.sample_rate))
        other = Signal(scaled.data, bank)
        own, theirs = _comparable(self._signal.spectrogram, other.spectrogram)
        seconds = bank.hop / float(bank.sample_rate)
        patches = _matched(own, theirs, self._starts, self._creator.patch_size, self._search_window, seconds)
        patches = [self._finely_aligned(patch, other) for patch in patches]
        return Similarity(
            calc_per_patch_mean_freq_band_means(patches),
            calc_per_patch_freq_band_quantile(patches, 0.10),
            calc_per_patch_mean_freq_band_stddevs(patches, seconds),
            calc_per_patch_mean_freq_band_deg_energy(patches),
        )

    @cached_property
    def _starts(self) -> list[int]:
        """First frames of the patches; they depend on the original alone."""
        return self._creator.create_ref_patch_indices(self._signal.spectrogram, self._audio, self._signal.bank.window)

    def _finely_aligned(self, patch: PatchSimilarityResult, other: Signal) -> PatchSimilarityResult:
        """The patch compared once more, moved sample by sample: the better of both."""
        if patch.deg_patch_start_time == patch.deg_patch_end_time == 0.0:
            return patch
        bank = self._signal.bank
        own, own_first, own_last = _piece(self._signal, patch.ref_patch_start_time, patch.ref_patch_end_time)
        other, first, last = _piece(other, patch.deg_patch_start_time, patch.deg_patch_end_time)
        if own_first >= own_last or first >= last:
            return patch
        piece = other.samples[first:last]
        lag = own.lag(own_first, own_last, piece)
        moved = _moved(piece, lag)
        own_length = own_last - own_first
        # The seconds of a lag need not give its samples again: as there.
        skipped = int(lag / float(bank.sample_rate) * bank.sample_rate) if lag > 0 and own_length < len(moved) else 0
        length = min(own_length, len(moved)) - skipped
        if length <= bank.size:
            return patch
        if skipped < lag:
            frames = Signal(moved[skipped:], bank).frames(0, length)
        else:
            frames = other.frames(first + skipped - lag, length)
        again = measure_patch_similarity(*_comparable(own.frames(own_first + skipped, length), frames))
        if again.similarity < patch.similarity:
            return patch
        ahead = lag / float(bank.sample_rate)
        again.ref_patch_start_time = patch.ref_patch_start_time + max(ahead, 0.0)
        again.deg_patch_start_time = patch.deg_patch_start_time - min(ahead, 0.0)
        again.ref_patch_end_time = again.ref_patch_start_time + length / bank.sample_rate
        again.deg_patch_end_time = again.deg_patch_start_time + length / bank.sample_rate
        return again


def _moved(samples: "Floats", lag: int) -> "Floats":
    """Samples that begin so much later, behind silence, or without the first ones."""
    return samples[-lag:] if lag < 0 else np.concatenate([np.zeros(lag), samples]) if lag else samples


def _comparable(own: "Floats", other: "Floats") -> "tuple[Floats, Floats]":
    """Both in decibels above their common floor."""
    return prepare_spectrograms_for_comparison(Spectrogram(own), Spectrogram(other))


def _matched(
    own: "Floats", other: "Floats", starts: Sequence[int], size: int, radius: int, seconds: float
) -> list[PatchSimilarityResult]:
    """The patches of the reference's spectrogram ``[bands, frames]`` beside the most similar ones of the other.

    Patches begin at frames ``starts`` and have ``size`` frames, ``seconds`` apart; matches are at most ``radius``
    patches away.
    """
    frames = other.shape[1]
    size = min(size, own.shape[1] - starts[0])
    count = len(starts)
    while count and starts[count - 1] - size // 2 > frames:
        count -= 1
    if not count:
        raise ValueError("Degraded file was too short, different, or misaligned to score any of the reference patches.")
    patches = np.stack([own[:, start : start + size] for start in starts[:count]])
    reach = radius * size
    sums, came_from = search_patches(patches, other, np.array(starts[:count]), reach)
    filled = np.pad(other, ((0, 0), (0, size)))
    low, high = max(0, starts[count - 1] - reach), min(frames - 1, starts[count - 1] + reach)
    offset = low + int(np.argmax(sums[count - 1, low : high + 1]))
    matches = []
    for index in range(count - 1, -1, -1):
        patch = measure_patch_similarity(patches[index], filled[:, offset : offset + size])
        if offset == came_from[index, offset]:  # a lost packet
            patch.similarity = 0.0
            patch.freq_band_means = np.zeros(len(own))
        else:
            patch.deg_patch_start_time = offset * seconds
            patch.deg_patch_end_time = patch.deg_patch_start_time + seconds * size
        patch.ref_patch_start_time = starts[index] * seconds
        patch.ref_patch_end_time = patch.ref_patch_start_time + seconds * size
        matches.append(patch)
        offset = int(came_from[index, offset])
    return matches[::-1]


def _piece(signal: Signal, start: float, end: float) -> tuple[Signal, int, int]:
    """First and last sample between two times in seconds, of a new signal if silence is filled in."""
    rate, samples = signal.bank.sample_rate, signal.samples
    first, last = max(0, int(start * rate)), min(len(samples) - 1, int(end * rate))
    missing = max(0, int(end * rate - len(samples))) + max(0, int(-start * rate))
    if not missing:
        return signal, first, last
    # Silence comes first, even where it is the end that is missing: as there.
    filled = np.concatenate([np.zeros(missing), samples[first:last]])
    return Signal(filled, signal.bank), 0, len(filled)
