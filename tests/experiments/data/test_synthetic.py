"""The corpus made in memory: repeatable, disjoint, three kinds of sound."""

import time

import numpy as np
import pytest
import torch

from codeclab.experiments.data import synthetic
from codeclab.experiments.data.recording import SPLITS, Recording
from codeclab.experiments.data.synthetic import make_synthetic_corpus, read_synthetic

DOMAINS = ("music-like", "noise-like", "voice-like")


def _of(domain: str, count: int = 4) -> list[Recording]:
    return [r for r in make_synthetic_corpus().train if r.domain == domain][:count]


def test_excerpts_are_parts_of_one_whole_and_repeatable() -> None:
    recording = _of("voice-like")[0]
    whole = read_synthetic(recording, 0.0, 4.0, 24000, 1)
    excerpt = read_synthetic(recording, 1.5, 1.0, 24000, 1)
    assert torch.equal(excerpt, whole[:, 36000:60000])
    synthetic._make_recording.cache_clear()
    assert torch.equal(read_synthetic(recording, 0.0, 4.0, 24000, 1), whole)
    tail = read_synthetic(recording, 3.5, 1.0, 24000, 1)
    assert torch.equal(tail[:, :12000], whole[:, 84000:])
    assert (tail[:, 12000:] == 0).all()
    excerpt.zero_()
    assert torch.equal(read_synthetic(recording, 1.5, 1.0, 24000, 1), whole[:, 36000:60000])


def test_no_two_recordings_are_alike() -> None:
    corpus = make_synthetic_corpus()
    names = [r.name for split in SPLITS for r in getattr(corpus, split)]
    assert len(set(names)) == len(names) == 96
    first = [next(r for r in getattr(corpus, split) if r.domain == "noise-like") for split in SPLITS]
    heads = [read_synthetic(r, 0.0, 0.5, 8000, 1) for r in [*first, corpus.train[24 + 1]]]
    for i, one in enumerate(heads):
        for other in heads[i + 1 :]:
            correlation = (one * other).sum() / (one.norm() * other.norm())
            assert correlation.abs() < 0.5


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (24000, 2), (44100, 2), (48000, 3)])
@pytest.mark.parametrize("domain", DOMAINS)
def test_any_rate_and_channels(domain: str, rate: int, channels: int) -> None:
    audio = read_synthetic(_of(domain)[0], 0.25, 2.0, rate, channels)
    assert audio.shape == (channels, 2 * rate)
    assert audio.dtype == torch.float32
    assert audio.isfinite().all()
    assert audio.square().mean().sqrt() > 0.01
    assert audio.abs().max() <= 0.61
    if channels > 1:
        assert not torch.equal(audio[0], audio[1])


def _describe(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """Spectral flatness, and the share of the quietest tenth of 20 ms frames in the loudest's power (pauses)."""
    frames = audio[: len(audio) // 480 * 480].reshape(-1, 480)
    power = np.abs(np.fft.rfft(frames * np.hanning(480))) ** 2 + 1e-12
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    energy = np.sort(power.sum(axis=1))
    return float(np.median(flatness)), float(energy[len(energy) // 10] / energy[-len(energy) // 10])


def test_the_domains_are_distinguishable() -> None:
    described = {
        domain: np.array([_describe(read_synthetic(r, 0, 4, 24000, 1)[0].numpy(), 24000) for r in _of(domain)])
        for domain in DOMAINS
    }
    flatness = {domain: values[:, 0] for domain, values in described.items()}
    assert flatness["noise-like"].mean() > 3 * max(flatness["voice-like"].max(), flatness["music-like"].max())
    # Between syllables a voice is silent; plucked notes ring on.
    assert np.median(described["voice-like"][:, 1]) < 0.1 * np.median(described["music-like"][:, 1])


def test_recordings_are_not_equally_loud() -> None:
    for domain in DOMAINS:
        peaks = [20 * np.log10(read_synthetic(r, 0, 4, 24000, 1).abs().max().item()) for r in _of(domain, 12)]
        assert -18.5 < min(peaks) < -13
        assert -5 < max(peaks) < 0


def test_making_it_is_much_faster_than_real_time() -> None:
    synthetic._make_recording.cache_clear()
    recordings = [_of(domain, 1)[0] for domain in DOMAINS]
    began = time.process_time()
    for recording in recordings:
        read_synthetic(recording, 0.0, 4.0, 24000, 1)
    assert 12.0 / (time.process_time() - began) > 10
