"""Gain, loudness and phase of training excerpts."""

from fractions import Fraction
from math import pi
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from codeclab.codecs.loudness import measure_lufs
from codeclab.experiments.data.augmentation import LoudnessNormalize, PhaseShift, RandomGain
from codeclab.experiments.data.recording import Recording
from codeclab.experiments.data.synthetic import make_synthetic_corpus, read_synthetic


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _examples(seconds: float, rate: int = 24000, channels: int = 1) -> list[Tensor]:
    chosen = make_synthetic_corpus().train[::12]
    return [read_synthetic(recording, 0.5, seconds, rate, channels) for recording in chosen]


def _ebur128(audio: Tensor, rate: int) -> float:
    """Integrated loudness by FFmpeg's ebur128 filter, as a reference."""
    layout = "mono" if len(audio) == 1 else "stereo"
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout=layout, time_base=Fraction(1, rate))
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.numpy()), format="fltp", layout=layout)
    frame.sample_rate, frame.pts = rate, 0
    graph.push(frame)
    graph.push(None)
    measured = -np.inf
    while True:
        try:
            measured = float(graph.pull().metadata["lavfi.r128.I"])
        except (EOFError, av.error.BlockingIOError):
            return measured


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_what_ffmpeg_measures(channels: int) -> None:
    for audio in _examples(3.0, 24000, channels):
        assert measure_lufs(audio, 24000) == pytest.approx(_ebur128(audio, 24000), abs=0.25)


def test_loudness_of_the_standards_sine() -> None:
    # BS.1770-4: a 0 dBFS 997 Hz sine in one front channel reads -3.01 LKFS.
    sine = torch.sin(2 * pi * 997 * torch.arange(48000 * 3) / 48000)[None]
    assert measure_lufs(sine, 48000) == pytest.approx(-3.01, abs=0.3)
    # An excerpt shorter than one gating block reads the same.
    assert measure_lufs(sine[:, : int(0.38 * 48000)], 48000) == pytest.approx(measure_lufs(sine, 48000), abs=0.05)
    assert measure_lufs(torch.zeros(1, 48000), 48000) == -np.inf


def test_loudness_near_and_beyond_full_scale_is_not_cut_off() -> None:
    noise = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    quiet = 0.01 * noise / noise.abs().max()
    for gain in (100, 400):
        expected = measure_lufs(quiet, 48000) + 20 * np.log10(gain)
        assert measure_lufs(gain * quiet, 48000) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("target", [-24.0, -16.0])
def test_loudness_normalization_hits_its_target(target: float) -> None:
    for audio in _examples(3.0):
        out = LoudnessNormalize(target, limit_peak=False)(audio, 24000, _rng())
        assert _ebur128(out, 24000) == pytest.approx(target, abs=0.5)


def test_loudness_normalization_keeps_the_peak_and_silence() -> None:
    click = torch.zeros(1, 24000)
    click[0, 12000] = 0.5
    assert float(LoudnessNormalize(-10.0)(click, 24000, _rng()).abs().max()) == pytest.approx(1.0)
    assert float(LoudnessNormalize(-10.0, limit_peak=False)(click, 24000, _rng()).abs().max()) > 1.0
    silence = torch.zeros(1, 24000)
    assert torch.equal(LoudnessNormalize()(silence, 24000, _rng()), silence)


def test_loudness_may_be_spread_about_the_target() -> None:
    audio = _examples(1.0)[0]
    spread = LoudnessNormalize(-30.0, spread_db=8.0)
    levels = [measure_lufs(spread(audio, 24000, _rng(seed)), 24000) + 30 for seed in range(60)]
    assert -8.1 < min(levels) < -6.5
    assert 6.5 < max(levels) < 8.1
    assert abs(float(np.mean(levels))) < 2
    with pytest.raises(ValueError, match="spread_db is .*, half the width of a draw; it should be at least 0"):
        LoudnessNormalize(spread_db=-1.0)


def test_gain_is_uniform_in_decibels_about_the_target() -> None:
    audio = _examples(1.0)[0]
    gain = RandomGain(low_db=-10, high_db=6, target_db=-40)
    levels = []
    for seed in range(300):
        out = gain(audio, 24000, _rng(seed))
        assert out is not None
        levels.append(20 * np.log10(float(out.square().mean().sqrt())) + 40)
    assert -10 <= min(levels) < -9.5
    assert 5.5 < max(levels) <= 6
    assert np.mean(levels) == pytest.approx(-2, abs=1)
    peak = RandomGain(0.0, 0.0, normalize="peak", target_db=-6.0)(audio, 24000, _rng())
    assert peak is not None
    assert float(peak.abs().max()) == pytest.approx(10 ** (-6 / 20))
    untouched = RandomGain(0.0, 0.0, normalize="none")(audio, 24000, _rng())
    assert untouched is not None
    torch.testing.assert_close(untouched, audio)


def test_a_gain_of_the_manifest_counts_in_the_level_that_is_known() -> None:
    rng = np.random.default_rng(0)
    recording = Recording(Path("a.wav"), "all", 16000, 1, 1.0, rms_db=-30.0, gain_db=6.0)
    audio = torch.full((1, 100), 10 ** (-24 / 20))  # as it is read: -30 dB and 6
    gain = RandomGain(low_db=0.0, high_db=0.0, target_db=-20.0)
    changed = gain.apply(audio, 16000, rng, [recording])
    assert changed is not None
    torch.testing.assert_close(changed, torch.full((1, 100), 0.1))


def test_clipped_audio_is_rejected_by_default() -> None:
    loud = torch.full((1, 100), 0.9)
    assert RandomGain(6.0, 6.0, normalize="none")(loud, 24000, _rng()) is None
    out = RandomGain(6.0, 6.0, reject_clipped=False, normalize="none")(loud, 24000, _rng())
    assert out is not None
    assert float(out.max()) == pytest.approx(0.9 * 10 ** (6 / 20))
    assert RandomGain(6.0, 6.0)(torch.zeros(1, 100), 24000, _rng()) is not None


@pytest.mark.parametrize("length", [9000, 9001])
def test_a_phase_shift_keeps_the_magnitude_spectrum(length: int) -> None:
    audio = _examples(1.0, channels=2)[1][:, :length]
    out = PhaseShift()(audio, 24000, _rng(3))
    before, after = torch.fft.rfft(audio), torch.fft.rfft(out)
    torch.testing.assert_close(after.abs(), before.abs(), atol=2e-3, rtol=1e-4)
    assert out.shape == audio.shape
    assert not torch.allclose(out, audio, atol=0.01)


def test_a_phase_shift_turns_every_frequency_by_one_angle() -> None:
    time = torch.arange(24000, dtype=torch.float64) / 24000
    angle = np.random.default_rng(5).uniform(-pi, pi)
    for frequency in (100, 3000, 11000):
        cosine = torch.cos(2 * pi * frequency * time)[None].float()
        out = PhaseShift()(cosine, 24000, _rng(5))
        torch.testing.assert_close(out, torch.cos(2 * pi * frequency * time + angle)[None].float(), atol=2e-3, rtol=0)
    constant = torch.full((1, 100), 0.3)
    torch.testing.assert_close(PhaseShift()(constant, 24000, _rng(5)), constant)


def test_a_gain_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="low_db is 6.0 and high_db -10.0; low_db should not be above high_db"):
        RandomGain(6.0, -10.0)
    with pytest.raises(ValueError, match="normalize is 'loud'; it should be 'rms', 'peak' or 'none'"):
        RandomGain(normalize="loud")  # type: ignore[arg-type]
