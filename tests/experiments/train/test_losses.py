"""Reconstruction losses: the references' numbers, and what every loss promises."""

import pytest
import torch

from codeclab.codecs.layers.mel import MelSpectrogram
from codeclab.experiments.train.losses.mel import MultiScaleLogMelLoss, MultiScaleMelLoss
from codeclab.experiments.train.losses.stft import MultiScaleSTFTLoss
from codeclab.experiments.train.losses.waveform import WaveformL1

GRADIENT = 1e-4


def value_and_gradient(loss, fake, real):
    fake = fake.clone().requires_grad_()
    value = loss(fake, real)
    return value.item(), torch.autograd.grad(value, fake)[0]


def assert_equal(tensors, name, loss, fake, real):
    side = "x_hat" if "input.x_hat" in tensors else "fake"
    value, gradient = value_and_gradient(loss, fake, real)
    expected = tensors[f"grad.{side}.{name}"]
    assert value == pytest.approx(float(tensors[f"output.{name}"]), rel=1e-5)
    assert (gradient - expected).abs().max() < GRADIENT * expected.abs().max()


@pytest.mark.parametrize("case", [0, 1, 2])
def test_multi_scale_mel_is_audiocrafts(golden, case):
    tensors, description = golden("losses_audiocraft")
    config = description["config"]["multiscale"][case]
    loss = MultiScaleMelLoss(
        description["config"]["sample_rate"],
        window_lengths=[2**i for i in range(config["range_start"], config["range_end"])],
        n_mels=config["n_mels"],
        f_min=config["f_min"],
        normalized=config["normalized"],
        growing_alpha=config["alphas"],
    )
    assert_equal(tensors, f"msspec.{case}", loss, tensors["input.x_hat"], tensors["input.x"])


def test_multi_scale_log_mel_is_dacs(golden):
    tensors, description = golden("losses_dac")
    loss = MultiScaleLogMelLoss(description["config"]["sample_rate"])
    assert loss.n_mels == description["config"]["mel"][0]["n_mels"]
    assert loss.window_lengths == description["config"]["mel"][0]["window_lengths"]
    assert_equal(tensors, "mel.0", loss, tensors["input.fake"], tensors["input.real"])


def test_mel_and_stft_losses_with_magnitudes_are_the_dac_packages(golden):
    tensors, description = golden("losses_dac")
    mel, stft = description["config"]["mel"][1], description["config"]["stft"][1]
    fake, real = tensors["input.fake"], tensors["input.real"]
    loss = MultiScaleLogMelLoss(44100, mel["window_lengths"], mel["n_mels"], log_weight=2.0, magnitude_weight=1.0)
    assert_equal(tensors, "mel.1", loss, fake, real)
    assert float(MultiScaleSTFTLoss()(fake, real)) == pytest.approx(float(tensors["output.stft.0"]), rel=1e-5)
    weights = {"log_weight": stft["log_weight"] * stft["pow"], "magnitude_weight": stft["mag_weight"]}
    loss = MultiScaleSTFTLoss(stft["window_lengths"], **weights)
    assert float(loss(fake, real)) == pytest.approx(float(tensors["output.stft.1"]), rel=1e-5)


def test_equation_1_as_printed_by_hand():
    fake, real = (torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    windows = (128, 512)
    loss = MultiScaleMelLoss(8000, windows, n_mels=8, as_printed=True)
    expected = 0.0
    for window in windows:
        mel = MelSpectrogram(8000, window, 8, "htk", 2, "same", normalized=True)
        for item in range(2):
            difference = (mel(fake[item : item + 1]) - mel(real[item : item + 1])).double().numpy().ravel()
            expected += (abs(difference).sum() + (difference**2).sum() ** 0.5) / 2 / len(windows)
    assert float(loss(fake, real)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(real, real)) == 0


def test_every_window_may_have_its_own_mels_as_in_the_dac_package():
    fake, real = 0.1 * torch.randn(2, 2, 1, 4000)
    both = MultiScaleLogMelLoss(8000, [512, 128], [20, 10], f_min=[100.0, 0.0], f_max=[None, 3000.0])
    first = MultiScaleLogMelLoss(8000, [512], [20], f_min=100.0)
    second = MultiScaleLogMelLoss(8000, [128], [10], f_max=3000.0)
    assert float(both(fake, real)) == pytest.approx(float(first(fake, real) + second(fake, real)))
    with pytest.raises(ValueError, match="f_max has 1 value for 2 window_lengths; give one each"):
        MultiScaleLogMelLoss(8000, [512, 128], [20, 10], f_max=[3000.0])


def test_mels_lie_between_f_min_and_f_max():
    t = torch.arange(4000) / 8000
    tones = {hz: 0.5 * torch.sin(2 * torch.pi * hz * t)[None, None] for hz in (200, 1500, 3500)}
    for build in (
        lambda **limits: MultiScaleMelLoss(8000, [512], n_mels=8, **limits),
        lambda **limits: MultiScaleLogMelLoss(8000, [512], [8], log_weight=0.0, magnitude_weight=1.0, **limits),
    ):
        narrow, wide = build(f_min=1000.0, f_max=2000.0), build()
        heard = {hz: float(narrow(tone, 0 * tone)) / float(wide(tone, 0 * tone)) for hz, tone in tones.items()}
        assert heard[1500] > 0.5
        assert max(heard[200], heard[3500]) < 0.1
        with pytest.raises(
            ValueError, match="f_min is 3000 Hz, f_max 2000 Hz; they should satisfy 0 <= f_min < f_max <= 4000 Hz"
        ):
            build(f_min=3000, f_max=2000)


def test_waveform_l1_is_dacs(golden):
    tensors, _ = golden("losses_dac")
    assert_equal(tensors, "l1", WaveformL1(), tensors["input.fake"], tensors["input.real"])


def test_defaults_of_the_spectral_loss_are_the_papers():
    loss = MultiScaleMelLoss(24000)
    assert loss.window_lengths == [2**i for i in range(5, 12)]
    assert loss.n_mels == 64
    assert loss.alphas == [1.0] * 7


LOSSES = {
    "waveform": WaveformL1(),
    "encodec": MultiScaleMelLoss(8000, (32, 128, 512), n_mels=8),
    "dac": MultiScaleLogMelLoss(8000, (32, 128, 512), (3, 8, 20)),
    "printed": MultiScaleMelLoss(8000, (32, 128, 512), n_mels=8, as_printed=True),
    "stft": MultiScaleSTFTLoss((512, 128)),
    "single": MultiScaleLogMelLoss(8000, [512], [80]),
}


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


@pytest.fixture
def pair():
    time = torch.arange(2000) / 8000
    real = 0.3 * torch.sin(2 * torch.pi * 440 * time) * torch.tensor([1.0, 0.5])[:, None]
    return real[:, None] + 0.01 * torch.randn(2, 1, 2000), torch.randn(2, 1, 2000)


def test_zero_for_equal_audio_and_growing_with_noise(loss, pair):
    real, noise = pair
    values = [loss(real + level * noise, real).item() for level in (0.0, 0.003, 0.01, 0.03, 0.1)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[1] > 0


def test_symmetric(loss, pair):
    real, noise = pair
    assert loss(real, noise).item() == pytest.approx(loss(noise, real).item(), rel=1e-6)


def test_the_batch_is_a_mean_of_its_parts(loss, pair):
    real, noise = pair
    parts = [loss((real + noise)[i : i + 1], real[i : i + 1]).item() for i in range(2)]
    assert abs(parts[0] - parts[1]) > 1e-6 or isinstance(loss, WaveformL1)
    assert loss(real + noise, real).item() == pytest.approx(sum(parts) / 2, rel=1e-5)


def test_stereo_is_the_mean_of_its_channels(loss, pair):
    real, noise = pair
    joined = loss((real + noise).transpose(0, 1), real.transpose(0, 1)).item()
    assert joined == pytest.approx(loss(real + noise, real).item(), rel=1e-5)


def test_float32_inside_bfloat16_autocast(loss, pair):
    real, noise = pair
    fake = (real + 0.1 * noise).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(fake, real)
    # Outside: autocast would round the matrix products of the backward pass too.
    (gradient,) = torch.autograd.grad(value, fake)
    plain, plain_gradient = value_and_gradient(loss, fake.detach(), real)
    assert value.item() == plain
    torch.testing.assert_close(gradient, plain_gradient)


def test_gradients_are_finite_on_silence(loss, pair):
    _, gradient = value_and_gradient(loss, torch.zeros(2, 1, 2000), pair[0])
    assert torch.isfinite(gradient).all()


def test_nothing_is_saved_and_short_audio_is_refused(loss):
    assert not loss.state_dict()
    if not isinstance(loss, WaveformL1):
        with pytest.raises(ValueError, match="200 samples are too few for a window of 512.*at least"):
            LOSSES["single"](torch.zeros(1, 1, 200), torch.zeros(1, 1, 200))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="n_mels has 1 value for 2 window_lengths"):
        MultiScaleLogMelLoss(8000, (32, 64), (5,))
