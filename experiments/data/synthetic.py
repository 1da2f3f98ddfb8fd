"""The corpus used when no folder is given, made in memory."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codeclab.experiments.data.recording import SPLITS, Corpus, Recording
from codeclab.experiments.data.synthetic_sounds import make_music, make_noise, make_voice

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
    """Reads part of a synthetic recording, made at the rate asked for; zero beyond its end.

    Args:
        recording: One of `make_synthetic_corpus`.
        start_seconds: Where the excerpt begins.
        seconds: Its length in seconds.
        sample_rate: Hz.
        channels: Number of channels; those after the first are delayed copies at another level.

    Returns:
        float32 `[C, round(seconds * sample_rate)]`.
    """
    whole = _make_recording(recording.name, sample_rate, channels)
    length = round(seconds * sample_rate)
    excerpt = whole[:, round(start_seconds * sample_rate) :][:, :length]
    return torch.nn.functional.pad(excerpt, (0, length - excerpt.shape[-1])).clone()


@lru_cache(maxsize=CACHED_RECORDINGS)
def _make_recording(name: str, sample_rate: int, channels: int) -> Tensor:
    split, domain, index = name.split("/")
    seed = [SPLITS.index(split), list(DOMAINS).index(domain), int(index)]
    rng = np.random.default_rng(seed)
    level, delay = rng.uniform(0.5, 1.0), rng.uniform(0.0002, 0.0008)
    mono = DOMAINS[domain](rng, RECORDING_SECONDS, sample_rate)
    audio = np.empty((channels, len(mono)), dtype=np.float32)
    for channel in range(channels):
        shift = round(channel * delay * sample_rate)
        audio[channel] = level**channel * np.concatenate([np.zeros(shift), mono[: len(mono) - shift]])
    return torch.from_numpy(audio)
