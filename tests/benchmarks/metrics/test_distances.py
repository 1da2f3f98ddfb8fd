"""Distances between signals: the references' numbers, an independent library, and silence."""

import math

import pytest
import torch
import torch.nn.functional as F
from auraloss.time import SISDRLoss
from torchaudio.functional import melscale_fbanks

from codeclab.benchmarks.metrics import registry
from codeclab.benchmarks.metrics.mel_distance import MelDistance, mel_distance
from codeclab.benchmarks.metrics.si_sdr import si_sdr, si_sdr_negated
from codeclab.benchmarks.metrics.si_snr import si_snr
from codeclab.benchmarks.metrics.stft_distance import STFTDistance, stft_distance, stft_distance_log
from codeclab.codecs.layers.mel import MelSpectrogram, mel_filterbank
from codeclab.codecs.layers.stft import STFT

METRICS = [mel_distance, stft_distance, stft_distance_log, si_snr, si_sdr]


@pytest.fixture
def dac(golden):
    return golden("losses_dac")


def differentiate(distance, tensors):
    fake = tensors["input.fake"].clone().requires_grad_()
    value = distance(fake, tensors["input.real"])
    return value.item(), torch.autograd.grad(value, fake)[0]


@pytest.mark.parametrize(
    ("case", "distance"),
    [
        ("mel.0", MelDistance(44100)),
        ("mel.1", MelDistance(44100, (2048, 512), (150, 80), log_weight=2.0, magnitude_weight=1.0)),
        ("stft.0", STFTDistance()),
        ("stft.1", STFTDistance((1024, 256), log_weight=2.0, magnitude_weight=0.5)),
    ],
)
def test_distances_are_dacs(dac, case, distance):
    tensors, _ = dac
    value, gradient = differentiate(distance, tensors)
    assert value == pytest.approx(float(tensors[f"output.{case}"]), rel=1e-5)
    expected = tensors[f"grad.fake.{case}"]
    errors = (gradient - expected).abs() / expected.abs().max()
    # |log a - log b| has a kink at a = b: single bins of the thousands flip their sign with the last bit of a window
    # (the formula in float64 is 7e-4 from the reference too).
    assert errors.max() < (1e-4 if case.startswith("mel") else 1e-3)
    assert errors.quantile(0.97) < 1e-4


def test_the_released_sign_of_si_sdr_is_dacs(dac):
    tensors, _ = dac
    fake, real = tensors["input.fake"], tensors["input.real"]
    values = [si_sdr_negated(real[i], fake[i], 44100) for i in range(2)]
    assert sum(values) / 2 == pytest.approx(float(tensors["output.sisdr"]), rel=1e-5)
    assert values[0] == pytest.approx(-si_sdr(real[0], fake[0], 44100), abs=1e-3)
    assert math.isfinite(si_sdr_negated(real[0], real[0], 44100))


def test_the_log_distance_is_what_is_left_of_dacs_without_square_and_magnitudes(dac):
    tensors, _ = dac
    fake, real = tensors["input.fake"][0], tensors["input.real"][0]
    expected = 0.0
    for window in (2048, 512):
        hann = torch.hann_window(window)
        levels = [
            torch.stft(signal, window, window // 4, window=hann, return_complex=True).abs().clamp(min=1e-5).log10()
            for signal in (fake, real)
        ]
        expected += float((levels[0] - levels[1]).abs().mean())
    assert stft_distance_log(real, fake, 44100) == pytest.approx(expected, rel=1e-4)
    assert stft_distance(real, fake, 44100) > 2 * expected


def test_the_metrics_are_the_distances(dac):
    tensors, _ = dac
    fake, real = tensors["input.fake"], tensors["input.real"]
    for metric, case in ((mel_distance, "mel.0"), (stft_distance, "stft.0")):
        values = [metric(real[i], fake[i], 44100) for i in range(2)]
        assert sum(values) / 2 == pytest.approx(float(tensors[f"output.{case}"]), rel=1e-5)


def test_mel_filters_and_spectrum_are_librosas(dac):
    tensors, _ = dac
    torch.testing.assert_close(mel_filterbank(44100, 128, 20, "slaney"), tensors["output.mel_basis"].T)
    mels = MelSpectrogram(44100, 2048, 320)(tensors["input.real"]).transpose(-1, -2)
    assert (mels - tensors["output.mel_example"]).abs().max() < 1e-5 * tensors["output.mel_example"].max()


def test_htk_mel_is_audiocrafts(golden):
    tensors, description = golden("losses_audiocraft")
    filters = mel_filterbank(24000, 1024, 64, "htk", f_min=64.0)
    torch.testing.assert_close(filters, tensors["output.mel_filterbank_last_scale"])
    mel = MelSpectrogram(24000, 1024, 64, "htk", 2, "same", f_min=64.0)(tensors["input.x"])
    logarithms = (1e-5 + mel).log10().transpose(-1, -2).flatten(1, 2)
    torch.testing.assert_close(logarithms, tensors["output.mel_l1.0.melspec_x"], rtol=0, atol=1e-5)


def test_a_filterbank_of_an_odd_rate_reaches_its_half():
    filters = mel_filterbank(11025, 64, 4, "htk")
    assert filters.shape == (33, 4)
    torch.testing.assert_close(filters, melscale_fbanks(33, 0.0, 5512.5, 4, 11025))


def test_si_sdr_is_dacs(dac):
    tensors, _ = dac
    values = [si_sdr(tensors["input.real"][i], tensors["input.fake"][i], 44100) for i in range(2)]
    assert sum(values) / 2 == pytest.approx(-float(tensors["output.sisdr"]), abs=1e-4)


@pytest.mark.parametrize(("case", "window", "n_frames", "tolerance"), [(0, 120000, 1, 0.02), (1, 2400, 4, 0.002)])
def test_si_snr_is_audiocrafts_on_its_padded_frames(golden, case, window, n_frames, tolerance):
    tensors, _ = golden("losses_audiocraft")
    hop = window // 2
    padding = window + (n_frames - 1) * hop - tensors["input.x"].shape[-1]
    reference, estimate = (
        F.pad(tensors[name], (0, padding)).unfold(-1, window, hop).reshape(-1, window)
        for name in ("input.x", "input.x_hat")
    )
    value = si_snr(reference, estimate, 24000)
    # AudioCraft adds float32's epsilon times the frame's length to its energies.
    assert value == pytest.approx(-float(tensors[f"output.sisnr.{case}"]), abs=tolerance)


def test_si_sdr_is_auralosss():
    reference, noise = torch.randn(2, 1, 4000)
    independent = SISDRLoss(zero_mean=True)
    for level in (0.01, 0.3, 2.0):
        estimate = 0.7 * reference + level * noise + 0.2
        expected = -float(independent(estimate[None], reference[None]))
        assert si_sdr(reference, estimate, 16000) == pytest.approx(expected, abs=1e-3)


def test_si_sdr_by_hand():
    reference = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    noise = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    assert si_sdr(reference, reference + 0.1 * noise, 1) == pytest.approx(20.0, abs=1e-5)
    assert si_sdr(reference, -3 * reference + 0.3 * noise + 5, 1) == pytest.approx(20.0, abs=1e-4)
    assert si_sdr(reference, reference, 1) == math.inf
    assert si_sdr(reference, noise, 1) == -math.inf
    assert si_sdr(reference, torch.zeros(1, 4), 1) == -math.inf


@pytest.mark.parametrize("metric", METRICS)
def test_a_silent_reference_gives_no_score(metric):
    estimate = torch.randn(1, 4000)
    for reference in (torch.zeros(1, 4000), torch.full((1, 4000), 0.25)):
        assert math.isnan(metric(reference, estimate, 8000))


@pytest.mark.parametrize("metric", METRICS)
def test_worse_audio_scores_worse(metric):
    reference, noise = torch.randn(2, 2, 4000)
    values = [metric(reference, reference + level * noise, 8000) for level in (0.01, 0.1, 0.5, 2.0)]
    assert all(isinstance(value, float) for value in values)
    better_is_higher = metric in (si_snr, si_sdr)
    assert values == sorted(values, reverse=better_is_higher)
    assert len(set(values)) == 4


@pytest.mark.parametrize("metric", METRICS)
def test_signals_that_do_not_fit_are_refused(metric):
    with pytest.raises(ValueError, match=r"reference is \[1, 4000\] and estimate \[1, 3999\]"):
        metric(torch.randn(1, 4000), torch.randn(1, 3999), 8000)
    with pytest.raises(ValueError, match=r"both should be \[C, N\]"):
        metric(torch.randn(1, 1, 4000), torch.randn(1, 1, 4000), 8000)


@pytest.mark.parametrize(("padding", "frames"), [("none", 12), ("centre", 16), ("same", 16), ("matched", 16)])
def test_stft_frames_and_values(padding, frames):
    audio = torch.randn(1, 2, 247)
    spectrum = STFT(64, 16, padding)(audio)
    assert spectrum.shape == (1, 2, frames, 33)
    offset = {"none": 0, "centre": 32, "same": 24, "matched": 24}[padding]
    start = 5 * 16 - offset
    frame = audio[..., start : start + 64] * torch.hann_window(64)
    torch.testing.assert_close(spectrum[:, :, 5], torch.fft.rfft(frame), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["none", "centre", "same", "matched"])
@pytest.mark.parametrize(("window", "hop"), [(64, 16), (64, 15), (33, 8), (16, 16)])
def test_stft_works_from_the_length_it_states(padding, window, hop):
    stft = STFT(window, hop, padding)
    for samples in range(stft.min_samples, stft.min_samples + 2 * hop):
        frames = stft(torch.randn(1, 1, samples)).shape[2]
        if padding in ("same", "matched"):
            assert frames == math.ceil(samples / hop)
    with pytest.raises(ValueError, match=f"at least {stft.min_samples}"):
        stft(torch.randn(1, 1, stft.min_samples - 1))


def test_stft_normalization_keeps_the_energy_of_noise():
    power = STFT(256, normalized=True)(torch.randn(1, 1, 60000)).abs().square().mean()
    assert power.item() == pytest.approx(1.0, rel=0.03)


def test_stft_arguments_are_checked():
    with pytest.raises(ValueError, match="hop_length is 65"):
        STFT(64, 65)
    with pytest.raises(ValueError, match="padding is 'reflect'"):
        STFT(64, padding="reflect")


@pytest.mark.parametrize("name", ["mel_distance", "stft_distance"])
def test_the_released_scripts_distances_are_of_audio_at_the_originals_loudness(name):
    """DAC's scripts/get_samples.py: ``recons.normalize(signal.loudness())`` before anything is measured."""
    generator = torch.Generator().manual_seed(0)
    original = 0.1 * torch.randn(1, 44100, generator=generator)
    decoded = original + 0.01 * torch.randn(1, 44100, generator=generator)
    plain, matched = (registry.METRICS[one].load() for one in (name, f"{name}_matched"))
    assert matched(original, 0.5 * decoded, 44100) == pytest.approx(matched(original, decoded, 44100), rel=1e-3)
    assert matched(original, 0.5 * decoded, 44100) == pytest.approx(plain(original, decoded, 44100), rel=0.05)
    assert plain(original, 0.5 * decoded, 44100) > 2 * plain(original, decoded, 44100)
