import csv
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from visqol.api import VisqolApi

from codeclab.benchmarks.evaluate.scoring import Scorer
from codeclab.benchmarks.metrics import visqol_port, visqol_signal
from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.registry import metrics_named
from codeclab.benchmarks.metrics.visqol import (
    prepare,
    visqol_audio,
    visqol_audio_swapped,
    visqol_speech,
    visqol_speech_exponential,
)
from codeclab.benchmarks.metrics.visqol_port import RATES, score, scores
from codeclab.codecs.loudness import loudness_matched

RATE = 16_000
TOLERANCE = {"svr": 2e-4, "exponential": 2e-3, "lattice": 3e-3}


def voice(seconds: float = 1.5) -> Tensor:
    """A harmonic tone with vibrato that comes and goes, ``[1, N]``."""
    time = torch.arange(int(seconds * RATE)) / RATE
    phase = 2 * math.pi * 140 * time + 2 * torch.sin(2 * math.pi * 5 * time)
    tone = sum(torch.sin(k * phase) / k for k in range(1, 25))
    return (0.1 * tone * (0.6 + 0.4 * torch.sin(2 * math.pi * 3 * time)))[None]


@pytest.mark.shared
def test_official_conformance_scores(shared: Path) -> None:
    with (shared / "visqol" / "conformance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        reference, rate = soundfile.read(shared / "visqol" / row["reference"], dtype="float32", always_2d=True)
        degraded, _ = soundfile.read(shared / "visqol" / row["degraded"], dtype="float32", always_2d=True)
        # The official test feeds speech mode these 48 kHz files as they are, so the port is asked directly.
        result = score(reference.mean(1), degraded.mean(1), row["mapping"], rate)
        assert result == pytest.approx(float(row["expected_moslqo"]), abs=TOLERANCE[row["mapping"]]), row


@pytest.mark.parametrize("metric", [visqol_audio, visqol_speech, visqol_speech_exponential])
def test_more_noise_scores_lower(metric) -> None:
    clean = voice()
    noise = torch.randn_like(clean)
    same, little, much = (metric(clean, clean + level * noise, RATE) for level in (0, 0.003, 0.05))
    assert same > 4.3
    assert same > little + 0.1 > much + 0.2


def test_the_two_speech_mappings_differ_and_are_chosen_by_name() -> None:
    clean = voice()
    noisy = clean + 0.01 * torch.randn_like(clean)
    exponential = visqol_speech(clean, noisy, RATE, mapping="exponential")
    assert exponential == pytest.approx(visqol_speech_exponential(clean, noisy, RATE), rel=1e-9)
    assert abs(exponential - visqol_speech(clean, noisy, RATE)) > 0.01


def test_the_lattice_starts_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    visqol_port._manager.cache_clear()
    visqol_speech(voice(), 0.5 * voice(), RATE)
    assert capfd.readouterr() == ("", "")


def test_the_original_may_be_given_as_the_degraded_signal() -> None:
    clean = voice()
    noisy = clean + 0.03 * torch.randn_like(clean)
    swapped = visqol_audio_swapped(clean, noisy, RATE)
    forward = visqol_audio(clean, noisy, RATE)
    # Two runs may round otherwise, as the matrix products do by where their arrays lie in memory.
    assert swapped == pytest.approx(visqol_audio(noisy, clean, RATE), rel=1e-9)
    assert swapped != pytest.approx(forward, rel=1e-4)
    names = ["visqol_audio_swapped", "visqol_audio", "visqol_audio_swapped_matched"]
    with Scorer(metrics_named(names), workers=0) as scorer:
        pending = scorer.submit(clean, noisy, RATE)
    assert pending.settle("visqol_audio_swapped") == pytest.approx(swapped, rel=1e-9)
    assert pending.settle("visqol_audio") == pytest.approx(forward, rel=1e-9)
    as_loud = visqol_audio_swapped(clean, loudness_matched(noisy, clean, RATE), RATE)
    assert pending.settle("visqol_audio_swapped_matched") == pytest.approx(as_loud, rel=1e-9)


def test_channels_are_averaged() -> None:
    clean = voice()
    noisy = clean + 0.01 * torch.randn_like(clean)
    spread = torch.cat([noisy + 0.25 * clean, noisy - 0.25 * clean])
    stereo = visqol_audio(clean.expand(2, -1), spread, RATE)
    assert stereo == pytest.approx(visqol_audio(clean, noisy, RATE), abs=1e-3)


@pytest.mark.parametrize("metric", [visqol_audio, visqol_speech])
def test_failures_carry_their_reason(metric) -> None:
    clean = voice(1.0)
    with pytest.raises(MetricError, match="estimate is silent"):
        metric(clean, torch.zeros_like(clean), RATE)
    with pytest.raises(MetricError, match="reference is silent"):
        metric(torch.zeros_like(clean), clean, RATE)
    with pytest.raises(MetricError, match="estimate is not finite"):
        metric(clean, clean * math.nan, RATE)


def test_too_short() -> None:
    with pytest.raises(MetricError, match="smaller than minimum patch size"):
        visqol_audio(voice(0.3), voice(0.3), RATE)
    with pytest.raises(MetricError):
        visqol_speech(voice(0.1), voice(0.1), RATE)


def degraded(clean: np.ndarray) -> list[np.ndarray]:
    """Noise, a delay, a cut start, half of it, and a part moved: every way through the alignments."""
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + 0.003 * noise
    third = len(clean) // 3
    moved = noisy.copy()
    moved[third : 2 * third] = np.roll(moved[third : 2 * third], 57)
    late = np.concatenate([np.zeros(333, np.float32), noisy[:-333]])
    return [clean + 0.0005 * noise, noisy, late, noisy[1234:], noisy[: len(clean) // 2 + 1], moved]


@pytest.mark.parametrize("mappings", [("svr",), ("exponential", "lattice")])
def test_scores_are_those_of_visqol_python(mappings) -> None:
    rate = RATES[mappings[0]]
    clean = prepared_voice(rate)
    versions = degraded(clean)
    requests = [(version, mapping) for version in versions for mapping in mappings]
    result = scores(clean, requests, rate)
    for mapping in mappings:
        api = VisqolApi()
        if mapping == "svr":
            api.create(mode="audio")
        else:
            api.create(mode="speech", use_lattice_model=mapping == "lattice")
        theirs = [api.measure_from_arrays(clean, version, rate).moslqo for version in versions]
        ours = [one for one, (_, own) in zip(result, requests, strict=True) if own == mapping]
        assert ours == pytest.approx(theirs, abs=1e-9)
        assert ours[0] > ours[1]


def prepared_voice(rate: int) -> np.ndarray:
    return prepare(voice(2.5), RATE, "svr" if rate == RATES["svr"] else "lattice")


def test_an_original_is_analysed_once_for_all_versions_and_mappings(monkeypatch) -> None:
    filtered: list[int] = []

    def counted(samples, starts, window, coefficients):
        filtered.append(len(starts))
        return gammatone_frames(samples, starts, window, coefficients)

    gammatone_frames = visqol_signal.gammatone_frames
    monkeypatch.setattr(visqol_signal, "gammatone_frames", counted)
    clean = prepared_voice(16_000)
    noisy = clean + 0.003 * np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    both = scores(clean, [(noisy, "exponential"), (noisy, "lattice")], 16_000)
    once = sum(filtered)
    assert scores(clean, [(noisy, "exponential")], 16_000) == pytest.approx(both[:1])
    assert sum(filtered) == 2 * once
    filtered.clear()
    scores(clean, [(noisy, "exponential"), (0.5 * noisy, "exponential")], 16_000)
    whole = max(filtered)
    assert sum(filtered) < 3.5 * whole < 4 * once
