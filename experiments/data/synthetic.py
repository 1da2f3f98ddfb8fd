"""The corpus used when no folder is given, made in memory of voice-like, music-like and noise-like sounds."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy.signal import butter, lfilter, sosfilt
from torch import Tensor

from codeclab.experiments.data.recording import SPLITS, Corpus, Recording

FORMANTS_HZ = np.array(
    [[730, 1090, 2440, 3400], [270, 2290, 3010, 3700], [300, 870, 2240, 3300], [530, 1840, 2480, 3500]], dtype=float
)
"""Mean formants of the vowels in "father", "heed", "who'd", "head" (Peterson and Barney 1952; the fourth assumed)."""

FORMANT_WIDTHS_HZ = (80.0, 100.0, 140.0, 200.0)

SCALE_SEMITONES = np.array([0, 2, 4, 5, 7, 9, 11])


def make_voice(rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """A glottal pulse train through moving formants, with pauses and fricative noise, ``[N]``.

    Args:
        rng: random generator of pitch, vowels and rhythm; it draws them before anything that depends on the rate.
        seconds: duration in seconds.
        sample_rate: sampling rate in Hz.
    """
    pitch, vibrato, depth = rng.uniform(90, 240), rng.uniform(4.5, 6.5), rng.uniform(0.005, 0.03)
    scale = rng.uniform(0.92, 1.15)
    syllables = max(int(seconds / rng.uniform(0.18, 0.26)), 1)
    vowels = rng.integers(len(FORMANTS_HZ), size=syllables)
    kinds = rng.choice(3, size=syllables, p=[0.68, 0.17, 0.15])
    loudness, bends = rng.uniform(0.5, 1.0, size=syllables), rng.uniform(0.85, 1.18, size=syllables + 1)
    low_edge = rng.uniform(2500, 4000)

    count = round(seconds * sample_rate)
    time = np.arange(count) / sample_rate
    position = time * syllables / seconds
    index = np.minimum(position.astype(int), syllables - 1)
    melody = np.interp(position, np.arange(syllables + 1), bends)
    phase = np.cumsum(pitch * melody * (1 + depth * np.sin(2 * np.pi * vibrato * time)) / sample_rate) % 1.0
    flow = np.where(phase < 0.6, 0.5 - 0.5 * np.cos(2 * np.pi * phase / 0.6), 0.0)
    source = np.diff(flow, prepend=0.0) * sample_rate / pitch + 0.02 * rng.standard_normal(count)
    envelope = loudness[index] * np.sin(np.pi * np.clip(position - index, 0, 1)) ** 0.6
    voice = np.zeros(count)
    for vowel in np.unique(vowels[kinds == 0]):
        gate = envelope * ((vowels == vowel) & (kinds == 0))[index]
        voice += _formant_filter(source * gate, FORMANTS_HZ[vowel] * scale, sample_rate)
    edges = [min(low_edge, 0.3 * sample_rate), min(9000.0, 0.45 * sample_rate)]
    hiss = sosfilt(butter(2, edges, "bandpass", fs=sample_rate, output="sos"), rng.standard_normal(count))
    return _in_a_room(rng, _at_some_level(rng, _to_peak(voice) + 0.25 * hiss * envelope * (kinds == 1)[index]))


def make_music(rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """Plucked notes, a bass and chords on one scale, ``[N]``; arguments as for ``make_voice``."""
    beats = max(int(seconds / rng.uniform(0.22, 0.45)), 1)
    root, brightness, decay = rng.uniform(110, 196), rng.uniform(0.55, 0.8), rng.uniform(1.5, 5.0)
    degrees = rng.integers(7, size=(beats, 3)) + np.array([0, 2, 4])
    rests, velocities = rng.random(size=(beats, 3)) < 0.25, rng.uniform(0.3, 1.0, size=(beats, 3))

    count = round(seconds * sample_rate)
    out = np.zeros(count)
    for beat in range(beats):
        begin = round(beat * count / beats)
        length = min(round(0.9 * sample_rate), count - begin)
        for voice in range(3):
            if rests[beat, voice] and beat > 0:
                continue
            octave, degree = divmod(int(degrees[beat, voice]), 7)
            frequency = root * 2 ** (octave + SCALE_SEMITONES[degree] / 12) * (0.5 if voice == 0 else 1.0)
            note = _plucked_note(frequency, length, sample_rate, brightness, decay)
            out[begin : begin + length] += velocities[beat, voice] * note
    return _in_a_room(rng, _at_some_level(rng, out))


def make_noise(rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """Coloured noise with a slow modulation and drops or bursts on top, ``[N]``; arguments as for ``make_voice``."""
    tilt, swell, depth = rng.uniform(0.0, 0.9), rng.uniform(0.2, 3.0), rng.uniform(0.2, 0.9)
    start, drops = rng.uniform(0, 2 * np.pi), rng.poisson(rng.uniform(1, 12) * seconds)
    positions, sizes = rng.random(drops), rng.exponential(0.5, size=drops)
    ring_hz, ring_width = rng.uniform(800, 5000), rng.uniform(150, 1200)

    count = round(seconds * sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / sample_rate)
    spectrum *= np.maximum(frequencies, 30.0) ** -tilt
    bed = np.fft.irfft(spectrum, n=count)
    bed *= 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * swell * np.arange(count) / sample_rate + start))
    hits = np.zeros(count)
    np.add.at(hits, np.minimum((positions * count).astype(int), count - 1), sizes)
    ring = _resonate(hits, min(ring_hz, 0.4 * sample_rate), ring_width, sample_rate)
    return _at_some_level(rng, _to_peak(bed) + 0.7 * _to_peak(ring))


def _plucked_note(frequency: float, length: int, sample_rate: int, brightness: float, decay: float) -> np.ndarray:
    """Harmonics that fall off and die away the faster the higher, as one polynomial in a decaying phasor."""
    time = np.arange(length) / sample_rate
    rotation = np.exp((2j * np.pi * frequency - decay) * time).astype(np.complex64)
    harmonics = int(min(14, 0.45 * sample_rate / frequency))
    total = np.zeros(length, dtype=np.complex64)
    for harmonic in range(harmonics, 0, -1):
        total = (total + np.float32(brightness**harmonic)) * rotation
    attack = np.minimum(time / 0.004, 1.0)
    release = np.minimum((length - np.arange(length)) / (0.02 * sample_rate), 1.0)
    return np.asarray(total.imag * attack * release)


def _formant_filter(source: np.ndarray, formants: np.ndarray, sample_rate: int) -> np.ndarray:
    out = np.zeros_like(source)
    for order, (formant, width) in enumerate(zip(formants, FORMANT_WIDTHS_HZ, strict=True)):
        if formant < 0.45 * sample_rate:
            out += 0.6**order * _resonate(source, formant, width, sample_rate)
    return out


def _resonate(source: np.ndarray, frequency: float, width: float, sample_rate: int) -> np.ndarray:
    """A two-pole resonator with unit gain at its frequency, about."""
    radius = np.exp(-np.pi * width / sample_rate)
    angle = 2 * np.pi * frequency / sample_rate
    return np.asarray(lfilter([1 - radius], [1.0, -2 * radius * np.cos(angle), radius**2], source))


def _in_a_room(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    """Add white noise 60 to 50 dB below full scale: recordings are never digitally silent between the notes."""
    return audio + 10 ** (rng.uniform(-60, -50) / 20) * rng.standard_normal(len(audio))


def _at_some_level(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    """Scale to a peak 18 to 1 dB below full scale: recordings are not equally loud."""
    return _to_peak(audio, 10 ** (rng.uniform(-18, -1) / 20))


def _to_peak(audio: np.ndarray, peak: float = 1.0) -> np.ndarray:
    highest = np.abs(audio).max(initial=0.0)
    return audio * (peak / highest) if highest > 0 else audio


RECORDING_SECONDS = 4.0

NATIVE_RATE = 48000

FILES_PER_DOMAIN = {"train": 24, "valid": 4, "test": 4}

DOMAINS: dict[str, Callable[[np.random.Generator, float, int], np.ndarray]] = {
    "music-like": make_music,
    "noise-like": make_noise,
    "voice-like": make_voice,
}

CACHED_RECORDINGS = 128


def make_synthetic_corpus() -> Corpus:
    """Three domains of seeded four-second sounds; the same on every machine and in every run.

    Train, valid and test are disjoint by seed. The noise-like sounds are full-band at any sampling rate.
    Whole recordings are made on first use and kept in memory, 128 at most.
    """
    by_split: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for domain in DOMAINS:
            for index in range(FILES_PER_DOMAIN[split]):
                name = f"{split}/{domain}/{index:03d}"
                full_band = domain == "noise-like"
                recording = Recording(Path(name), domain, NATIVE_RATE, 2, RECORDING_SECONDS, full_band, split, name)
                by_split[split].append(recording)
    return Corpus("the synthetic corpus", read_synthetic, by_split["train"], by_split["valid"], by_split["test"])


def read_synthetic(
    recording: Recording, start_seconds: float, seconds: float, sample_rate: int, channels: int
) -> Tensor:
    """Read part of a synthetic recording, made at the requested rate; zero beyond its end.

    Args:
        recording: one of ``make_synthetic_corpus``.
        start_seconds: beginning of the excerpt, s.
        seconds: its length in seconds.
        sample_rate: sampling rate in Hz.
        channels: number of channels; those after the first are delayed copies at another level.

    Returns:
        float32 ``[C, round(seconds * sample_rate)]``.
    """
    whole = _make_recording(recording.name, sample_rate, channels)
    length = round(seconds * sample_rate)
    excerpt = whole[:, round(start_seconds * sample_rate) :][:, :length]
    return torch.nn.functional.pad(excerpt, (0, length - excerpt.shape[-1])).clone()


@lru_cache(maxsize=CACHED_RECORDINGS)
def _make_recording(name: str, sample_rate: int, channels: int) -> Tensor:
    split, domain, index = name.split("/")
    rng = np.random.default_rng([SPLITS.index(split), list(DOMAINS).index(domain), int(index)])
    level, delay = rng.uniform(0.5, 1.0), rng.uniform(0.0002, 0.0008)
    mono = DOMAINS[domain](rng, RECORDING_SECONDS, sample_rate)
    audio = np.empty((channels, len(mono)), dtype=np.float32)
    for channel in range(channels):
        shift = round(channel * delay * sample_rate)
        audio[channel] = level**channel * np.concatenate([np.zeros(shift), mono[: len(mono) - shift]])
    return torch.from_numpy(audio)
