"""What ``codeclab data scan`` measures in a file: its level and its highest frequency with energy."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.fft import rfft

from codeclab.experiments.data.formats import SILENCE, AudioHeader, decode, measure_header, segment_seconds
from codeclab.experiments.data.recording import DataError

FRAME = 2048

BAND_HZ = 500.0

LOUD_FRAMES = 98
"""Percentile of a band's power over the frames: high frequencies sound in few of them."""

MARGIN_DB = 10.0

FULL_BAND_SHARE = 0.9
"""Share of the Nyquist frequency that a full-band recording's energy reaches at least: converters' filters take the
rest."""

FULL_BAND_RATE = 44100
"""Hz; recordings at lower rates are not full-band, even if they fill their own band."""

FRAMES_AT_ONCE = 512


def measure_band(samples: np.ndarray, sample_rate: int) -> float:
    """Find the upper edge of the highest 500 Hz band that holds energy, in Hz; 0 where none does.

    A band holds energy if its power, in the loudest 2 % of frames of 2,048 samples, is 10 dB above what rounding
    to 16 bits leaves there. Lossy codecs and resamplers leave nothing above their cut-off. The images of a poor
    resampler, and noise of the recording itself, do count: whatever is there, a codec learns to make.

    Args:
        samples: float32 ``[C, N]``; the channel with the most power is looked at.
        sample_rate: sampling rate in Hz.
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
    """Whether energy up to ``band_hz`` makes a recording at ``sample_rate`` Hz full-band (Improved RVQGAN, 4.2).

    It does if it reaches nine tenths of the Nyquist frequency of 44.1 kHz, or of the recording's own if that is higher.
    """
    return band_hz >= FULL_BAND_SHARE * max(sample_rate, FULL_BAND_RATE) / 2


MOST_SECONDS = 60.0

PIECES = 12
"""Number of pieces of five seconds that are measured in a longer file, spread evenly."""


@dataclass(frozen=True)
class Measured:
    """One file's row of a manifest.

    Args:
        sample_rate: sampling rate in Hz. This and the figures below are 0 if the file cannot be read.
        channels: number of channels.
        seconds: duration in seconds.
        band_hz: highest frequency with energy, in Hz.
        full_band: whether that is the whole band; see ``is_full_band``.
        rms_db: level over all channels in dB relative to full scale.
        peak_db: highest sample over all channels in dB relative to full scale.
        problem: reason why the file cannot be used ("silent", "empty", "unreadable: ..."); empty if it can.
    """

    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    band_hz: float = 0.0
    full_band: bool = False
    rms_db: float = 0.0
    peak_db: float = 0.0
    problem: str = ""


def measure_file(path: Path, part: tuple[float, float] | None = None) -> Measured:
    """Measure a file, or a segment of it; a problem with it is part of the result and never raised.

    It is decoded to its end: length, rate, channels, peak, silence and samples that are no numbers are measured,
    whatever its header says. Level and band are those of all samples, as stored, or of a minute of more.

    Args:
        path: path of the file.
        part: beginning of a segment and its length, in seconds, 0 for all that is left; None is the whole file.
    """
    try:
        if part is None:
            return _measure(path, measure_header(path), None)
        status = path.stat()
        return _measure(path, _header_of(path, status.st_size, status.st_mtime_ns), part)
    except (OSError, DataError) as error:
        return Measured(problem=f"unreadable: {_one_line(error, path)}")


@lru_cache(maxsize=16)
def _header_of(path: Path, size: int, changed: int) -> AudioHeader:
    """A file is decoded to its end once, however many segments of it follow each other."""
    return measure_header(path)


def _measure(path: Path, header: AudioHeader, part: tuple[float, float] | None) -> Measured:
    """Measure a file, or the part of it with the given start and length in seconds."""
    rate, start, seconds = header.sample_rate, 0.0, header.seconds
    if header.problem:
        return Measured(rate, header.channels, round(seconds, 3), problem=header.problem)
    if part is not None:
        start, usable = part[0], segment_seconds(header, *part)
        if isinstance(usable, str):
            return Measured(rate, header.channels, problem=usable)
        seconds = usable
    peak = header.peak if part is None else _peak(path, rate, start, seconds)
    if peak <= SILENCE:
        return Measured(rate, header.channels, round(seconds, 3), problem="silent")
    samples = _read_pieces(path, rate, start, seconds)
    power = float(np.square(samples, dtype=np.float64).mean()) if samples.size else 0.0
    band = measure_band(samples, rate) if samples.size else 0.0
    return Measured(
        rate, header.channels, round(seconds, 3), round(band), is_full_band(band, rate), _decibel(power, 10),
        _decibel(peak, 20),
    )  # fmt: skip


def _peak(path: Path, sample_rate: int, start: float, seconds: float) -> float:
    """The highest sample, read a minute at a time."""
    first, last = round(start * sample_rate), round((start + seconds) * sample_rate)
    step = round(MOST_SECONDS * sample_rate)
    blocks = (decode(path, sample_rate, at, min(step, last - at)) for at in range(first, last, step))
    return max((float(np.abs(block).max(initial=0.0)) for block in blocks), default=0.0)


def _read_pieces(path: Path, sample_rate: int, start: float, seconds: float) -> np.ndarray:
    first = round(start * sample_rate)
    if seconds <= MOST_SECONDS:
        return decode(path, sample_rate, first, round(seconds * sample_rate))
    length = round(MOST_SECONDS / PIECES * sample_rate)
    room = round(seconds * sample_rate) - length
    starts = [first + round(index * room / (PIECES - 1)) for index in range(PIECES)]
    return np.concatenate([decode(path, sample_rate, at, length) for at in starts], axis=1)


def _decibel(value: float, factor: int) -> float:
    return round(factor * float(np.log10(max(value, 1e-12))), 2)


def _one_line(error: Exception, path: Path) -> str:
    """The message without the path, so that a manifest does not depend on where the corpus is."""
    return " ".join(str(error).replace(str(path), path.name).split())
