"""Up to which frequency a recording holds energy."""

import numpy as np
from scipy.fft import rfft

FRAME = 2048
BAND_HZ = 500.0
LOUD_FRAMES = 98
"""Percentile of a band's power over the frames: high frequencies sound in few of them."""
MARGIN_DB = 10.0
FULL_BAND_SHARE = 0.9
"""Share of the Nyquist frequency that a full-band recording's energy reaches at least: converters' filters take the
rest."""
FULL_BAND_RATE = 44100
"""Hz; what is sampled at less is not full-band, even where it fills its own band."""
FRAMES_AT_ONCE = 512


def measure_band(samples: np.ndarray, sample_rate: int) -> float:
    """Finds the upper edge of the highest 500 Hz band that holds energy, in Hz; 0 where none does.

    A band holds energy if its power, in the loudest 2 % of frames of 2,048 samples, is 10 dB above what rounding
    to 16 bits leaves there. Lossy codecs and resamplers leave nothing above their cut-off. The images of a poor
    resampler, and noise of the recording itself, do count: whatever is there, a codec learns to make.

    Args:
        samples: float32 `[C, N]`; the channel with the most power is looked at.
        sample_rate: Hz.
    """
    loudest = samples[int(np.argmax(np.square(samples, dtype=np.float64).mean(axis=1)))]
    if len(loudest) < FRAME:
        loudest = np.pad(loudest, (0, FRAME - len(loudest)))
    frames = np.lib.stride_tricks.sliding_window_view(loudest, FRAME)[:: FRAME // 2]
    # What is left over above the last whole band belongs to it: a few bins alone would pass the margin by chance.
    edges = BAND_HZ * np.arange(max(int(sample_rate / 2 // BAND_HZ), 1))
    starts = np.ceil(edges * FRAME / sample_rate).astype(int)
    window = np.hanning(FRAME).astype(np.float32)
    parts = []
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        spectrum = np.abs(rfft(frames[first : first + FRAMES_AT_ONCE] * window, axis=-1)[:, :-1]) ** 2
        parts.append(np.add.reduceat(spectrum, starts, axis=-1))
    power = np.percentile(np.concatenate(parts), LOUD_FRAMES, axis=0)
    bins = np.diff(np.append(starts, FRAME // 2))
    rounding = (2.0**-15) ** 2 / 12 * np.square(window).sum()
    held = np.flatnonzero(power > rounding * bins * 10 ** (MARGIN_DB / 10))
    if len(held) == 0:
        return 0.0
    return sample_rate / 2 if held[-1] == len(edges) - 1 else float(edges[held[-1]] + BAND_HZ)


def is_full_band(band_hz: float, sample_rate: int) -> bool:
    """Whether energy up to `band_hz` makes a recording at `sample_rate` (Hz) full-band (Improved RVQGAN, section 3.6).

    It does if it reaches nine tenths of the Nyquist frequency of 44.1 kHz, or of the recording's own if that is higher.
    """
    return band_hz >= FULL_BAND_SHARE * max(sample_rate, FULL_BAND_RATE) / 2
