"""Other voices, microphones and rooms made from the recordings there are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from codeclab.experiments.data.augmentation import BackgroundNoise, RandomEqualizer, SpeedChange
from codeclab.experiments.data.excerpts import TrainExcerpts
from codeclab.experiments.data.recording import Corpus, Recording
from codeclab.experiments.data.sampling import UniformByDuration

RATE = 16000


def tone(recording, start, seconds, sample_rate, channels):
    """A recording that is a tone of 440 Hz from its beginning to its end."""
    time = start + torch.arange(round(seconds * sample_rate)) / sample_rate
    return (0.1 * torch.sin(2 * torch.pi * 440 * time)).float()[None].expand(channels, -1)


def pitch(audio: torch.Tensor) -> float:
    """The strongest frequency in Hz."""
    spectrum = torch.fft.rfft(audio[0] * torch.hann_window(audio.shape[-1]), n=1 << 18).abs()
    return float(spectrum.argmax()) * RATE / (1 << 18)


def excerpts(*augmentations):
    recording = Recording(Path("a.flac"), "speech", RATE, channels=1, seconds=4.0)
    corpus = Corpus("tone", tone, train=[recording])
    return TrainExcerpts(corpus, UniformByDuration(), augmentations, RATE, 1, 1.0, 4, range(4), 0, 10)


@pytest.mark.parametrize("factor", [0.7, 0.8, 1.0, 1.2])
def test_speed_moves_pitch_and_keeps_the_length(factor: float) -> None:
    audio = excerpts(SpeedChange([factor]))[0]["audio"]
    assert audio.shape == (4, 1, RATE)
    for item in audio:
        assert pitch(item) == pytest.approx(440 * factor, rel=0.002)


def test_speeds_are_drawn_apart_and_again_the_same() -> None:
    first, again = (excerpts(SpeedChange([0.8, 1.25]))[3]["audio"] for _ in range(2))
    assert torch.equal(first, again)
    batches = excerpts(SpeedChange([0.8, 1.25]))
    speeds = {round(pitch(item) / 440, 2) for batch in range(8) for item in batches[batch]["audio"]}
    assert speeds == {0.8, 1.25}


def test_without_it_draws_are_those_of_before() -> None:
    """A run that began without speeds draws the same excerpts as ever."""
    plain = excerpts()[2]["audio"]
    rng = np.random.default_rng(np.random.SeedSequence([0, 2, 1]))
    rng.random()  # draws the recording
    start = rng.uniform(0.0, 3.0)
    torch.testing.assert_close(plain[1], tone(None, start, 1.0, RATE, 1))


def test_an_equaliser_changes_the_balance_and_not_the_level() -> None:
    white = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    equalizer = RandomEqualizer(range_db=12.0, probability=1.0)
    coloured = equalizer(white, RATE, np.random.default_rng(1))
    assert float(coloured.square().mean().sqrt()) == pytest.approx(0.1, rel=0.02)
    spectra = [torch.fft.rfft(x[0]).abs().square()[1:] for x in (white, coloured)]
    before, after = (spectrum.unfold(0, 500, 500).mean(1) for spectrum in spectra)
    change = 10 * (after / before).log10()
    assert 3 < float(change.max() - change.min()) <= 24.5
    assert torch.equal(coloured, equalizer(white, RATE, np.random.default_rng(1)))
    assert float((coloured * white).mean()) > 0  # the phase stays


@pytest.mark.parametrize("ratio", [10.0, 30.0])
def test_noise_has_the_ratio_asked_for(ratio: float) -> None:
    audio = tone(None, 0, 1.0, RATE, 1)
    noisy = BackgroundNoise(ratio, ratio, probability=1.0)(audio, RATE, np.random.default_rng(0))
    measured = 10 * (audio.square().mean() / (noisy - audio).square().mean()).log10()
    assert float(measured) == pytest.approx(ratio, abs=0.01)


def test_noises_differ_in_colour() -> None:
    audio = tone(None, 0, 1.0, RATE, 1)

    def tilt(seed: int) -> float:
        noise = BackgroundNoise(0, 0, probability=1.0)(audio, RATE, np.random.default_rng(seed)) - audio
        power = torch.fft.rfft(noise[0]).abs().square()
        return float(10 * (power[200:400].mean() / power[4000:8000].mean()).log10())

    tilts = [tilt(seed) for seed in range(20)]
    assert min(tilts) > -3
    assert max(tilts) - min(tilts) > 10


@pytest.mark.parametrize("part", [RandomEqualizer, BackgroundNoise])
def test_the_share_that_is_changed(part: type) -> None:
    audio = tone(None, 0, 0.1, RATE, 1)
    changed = [
        not torch.equal(part(probability=0.3)(audio, RATE, np.random.default_rng(seed)), audio) for seed in range(400)
    ]
    assert sum(changed) / 400 == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpeedChange([]), "they should be one or more speeds from 0.5 to 2, such as"),
        (lambda: SpeedChange([3.0]), r"factors are \[3.0\]; they should be"),
        (lambda: RandomEqualizer(range_db=-1), "range_db should be at least 0"),
        (lambda: RandomEqualizer(probability=2), "probability from 0 to 1"),
        (lambda: BackgroundNoise(20, 10), "low_db should not be above high_db"),
    ],
)
def test_what_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
