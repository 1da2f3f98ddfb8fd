"""Anchors' spectra by ITU-R BS.1534, and stimuli as files."""

import base64
import io

import numpy as np
import pytest
import soundfile
import torch

from codeclab.benchmarks.listening.anchors import LOW, MID, anchor
from codeclab.benchmarks.listening.sound import script, wav


def response(sample_rate: int, cutoff: int) -> tuple[np.ndarray, np.ndarray]:
    """Hz and dB of the anchor's filter, by what it makes of one sample in the middle of a second."""
    impulse = torch.zeros(1, sample_rate)
    impulse[0, sample_rate // 2] = 1.0
    spectrum = np.abs(np.fft.rfft(anchor(impulse, sample_rate, cutoff)[0].double().numpy()))
    return np.fft.rfftfreq(sample_rate, 1 / sample_rate), 20 * np.log10(spectrum + 1e-12)


@pytest.mark.parametrize("sample_rate", [16000, 24000, 44100, 48000])
def test_the_low_anchor_is_the_recommendations_filter(sample_rate: int) -> None:
    hertz, decibels = response(sample_rate, LOW)
    assert np.abs(decibels[hertz <= 3500]).max() <= 0.1
    assert decibels[hertz >= 4000].max() <= -25
    assert decibels[hertz >= 4500].max() <= -50


@pytest.mark.parametrize("sample_rate", [16000, 24000, 48000])
def test_the_mid_anchor_is_the_same_at_twice_the_frequency(sample_rate: int) -> None:
    hertz, decibels = response(sample_rate, MID)
    assert np.abs(decibels[hertz <= 7000]).max() <= 0.1
    assert decibels[hertz >= 8000].max() <= -25
    assert decibels[hertz >= 9000].max(initial=-99) <= -50


def test_an_anchor_is_not_late_and_as_long_as_its_original() -> None:
    for samples in (100, 24000):
        audio = torch.zeros(2, samples)
        audio[:, samples // 3] = 1.0
        made = anchor(audio, 24000)
        assert made.shape == audio.shape
        assert made[0].argmax() == samples // 3
        assert torch.equal(made[0], made[1])


def test_originals_that_end_below_the_anchor_are_refused() -> None:
    with pytest.raises(ValueError, match="an anchor of 7 kHz needs originals of at least 16 kHz, not 8"):
        anchor(torch.zeros(1, 800), 8000, MID)


def test_a_stimulus_is_read_back_as_it_was_and_its_size_tells_nothing() -> None:
    loud, quiet = 2 * torch.rand(2, 4800) - 1, torch.zeros(2, 4800)
    assert len(wav(loud, 48000)) == len(wav(quiet, 48000))
    text = script("0123456789ab", wav(loud, 48000))
    name, content = text.removeprefix('sound("').removesuffix('");\n').split('","')
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), always_2d=True)
    assert (name, rate, samples.shape) == ("0123456789ab", 48000, (4800, 2))
    assert np.abs(samples.T - loud.numpy()).max() <= 2**-15
