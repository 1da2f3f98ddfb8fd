"""The parts named after ``auraloss``'s losses equal them, signal by signal."""

import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss as PackageMultiResolution
from auraloss.freq import SumAndDifferenceSTFTLoss as PackageSumAndDifference
from torchaudio.transforms import MelSpectrogram

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.build import build
from codeclab.experiments.train.losses.auraloss_stft import (
    FFT_SIZES,
    HOP_SIZES,
    WIN_LENGTHS,
    MelSTFTLoss,
    MultiResolutionSTFTLoss,
    SumAndDifferenceSTFTLoss,
)

RATE = 24000


def pair(items: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Audio of very different levels, so that a ratio over the batch is not the mean of ratios."""
    generator = torch.Generator().manual_seed(3)
    levels = torch.tensor([0.01, 0.5, 0.1])[:items, None, None]
    real = levels * torch.randn(items, channels, 6000, generator=generator)
    return real + 0.3 * levels.flip(0) * torch.randn(items, channels, 6000, generator=generator), real


@pytest.mark.parametrize(
    "settings", [{}, {"w_sc": 0.5, "w_log_mag": 2.0, "w_lin_mag": 1.5}, {"perceptual_weighting": True}]
)
def test_multi_resolution_is_the_packages_for_each_signal(settings: dict[str, float]) -> None:
    fake, real = pair(3, 2)
    package = PackageMultiResolution(sample_rate=RATE, **settings)
    each = [package(f[None, None], r[None, None]) for f, r in zip(fake.flatten(0, 1), real.flatten(0, 1), strict=True)]
    ours = MultiResolutionSTFTLoss(RATE, **settings)(fake, real)
    torch.testing.assert_close(ours, torch.stack(each).mean(), rtol=1e-5, atol=1e-7)


def test_gradients_are_the_packages() -> None:
    fake, real = pair(1, 1)
    losses = (PackageMultiResolution(sample_rate=RATE), MultiResolutionSTFTLoss(RATE))
    expected, result = (
        torch.autograd.grad(loss(given := fake.clone().requires_grad_(), real), given) for loss in losses
    )
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-8)


def test_sum_and_difference_is_the_packages() -> None:
    fake, real = pair(3, 2)
    package = PackageSumAndDifference(list(FFT_SIZES), list(HOP_SIZES), list(WIN_LENGTHS), w_sum=2.0, w_diff=0.5)
    each = [package(f[None], r[None]) for f, r in zip(fake, real, strict=True)]
    ours = SumAndDifferenceSTFTLoss(RATE, w_sum=2.0, w_diff=0.5)(fake, real)
    torch.testing.assert_close(ours, torch.stack(each).mean(), rtol=1e-5, atol=1e-7)


def test_mels_are_torchaudios() -> None:
    fake, real = pair(1, 1)
    mel = MelSpectrogram(
        RATE, n_fft=1024, hop_length=256, n_mels=80, power=1.0, norm="slaney", mel_scale="slaney", f_max=RATE / 2
    )
    there, here = mel(real), mel(fake)
    expected = (there - here).norm() / there.norm() + (there.log() - here.log()).abs().mean()
    torch.testing.assert_close(MelSTFTLoss(RATE, n_mels=80)(fake, real), expected, rtol=1e-4, atol=1e-6)


def test_resolutions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 fft_sizes, 1 hop_sizes and 1 win_lengths.*as in fft_sizes \[1024, 512\]"):
        MultiResolutionSTFTLoss(RATE, [512, 256], [64], [512])
    with pytest.raises(ValueError, match="the FFT is 512, the hop 64 and the window 1024; they should satisfy"):
        MultiResolutionSTFTLoss(RATE, [512], [64], [1024])
    with pytest.raises(ValueError, match="n_mels is 600; an FFT of 1024 has room for 1 to 513"):
        MelSTFTLoss(RATE, n_mels=600)
    with pytest.raises(ValueError, match="audio has 1,000 samples; an FFT of 2048 needs more than 1024"):
        MultiResolutionSTFTLoss(RATE)(torch.zeros(1, 1, 1000), torch.zeros(1, 1, 1000))


def test_the_loss_of_stereo_wants_a_stereo_codec(tmp_path) -> None:
    small = ["--runs", str(tmp_path), "--scale", "laptop", "--data", "synthetic", "--model.discriminators", "[]"]
    name = ["--model.spectral_loss", "SumAndDifferenceSTFTLoss"]
    with pytest.raises((RecipeError, ValueError), match="for audio of 2 channels, and the codec has 1; encodec_48khz"):
        build("fit", ["--config", "encodec_24khz", *small, *name, "--dry-run"])
    built = build("fit", ["--config", "encodec_48khz", *small, *name, "--dry-run"])
    assert built.model.spectral_loss.sample_rate == 48000


@pytest.mark.parametrize("name", ["MultiResolutionSTFTLoss", "MelSTFTLoss"])
def test_each_is_a_flag(name: str, tmp_path) -> None:
    flags = ["--config", "vocos_16khz", "--runs", str(tmp_path), "--scale", "laptop", "--data", "synthetic"]
    built = build("fit", [*flags, "--model.spectral_loss", name, "--model.discriminators", "[]", "--dry-run"])
    assert type(built.model.spectral_loss).__name__ == name
    assert built.model.spectral_loss.sample_rate == 16000
