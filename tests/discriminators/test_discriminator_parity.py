"""Our discriminators with the reference's parameters give the reference's numbers.

The reference's names and ours, for sub-network ``k``, convolution ``i`` and band ``b``; every stored parameter must be
used. Ours are ``networks.k.stack.convs.i`` (``networks.k.stacks.b.convs.i`` with bands) and ``networks.k.post``:

- EnCodec and AudioCraft: ``discriminators.k.convs.i.conv`` and ``discriminators.k.conv_post.conv``; the first
  convolution of AudioCraft's MSD, which pads, is ``discriminators.k.convs.0.1.conv``.
- DAC: ``discriminators.k.convs.i.0`` (``discriminators.k.band_convs.b.i.0``) and ``discriminators.k.conv_post``.
- Weight norm's ``weight_g`` and ``weight_v`` are ``parametrizations.weight.original0`` and ``original1``.
"""

import math

import pytest
import torch
from safetensors.torch import load_file
from torchaudio.transforms import Spectrogram

from codeclab.discriminators.adversarial import HingeGANLoss, HingeLoss, LeastSquaresLoss
from codeclab.discriminators.ensemble import Ensemble
from codeclab.discriminators.feature_matching import FeatureMatchingLoss
from codeclab.discriminators.mpd import MultiPeriodDiscriminator
from codeclab.discriminators.msd import MultiScaleDiscriminator
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.discriminators.multiband import MultiBandSTFTDiscriminator

FORWARD, GRADIENT = 1e-5, 1e-4
TIE = 1e-6
"""Of a map's largest value: features nearer to 0, or to each other, are ordered by rounding."""


def negated_mean(outputs):
    return sum(-output.logits.mean() for output in outputs)


@pytest.fixture
def assert_outputs_alike(worst_output_error, relative_error):
    """``assert_outputs_alike(discriminator, tensors, loss)``: outputs and the loss's gradient are the reference's."""

    def check(discriminator, tensors, loss=negated_mean):
        audio = tensors["input.audio"].clone().requires_grad_()
        outputs = discriminator(audio)
        assert worst_output_error(tensors, outputs) < FORWARD
        (gradient,) = torch.autograd.grad(loss(outputs), audio)
        assert relative_error(gradient, tensors["grad.input.audio"]) < GRADIENT

    return check


def test_msstft_is_encodecs(golden, load_scales, assert_outputs_alike):
    tensors, description = golden("msstftd_encodec")
    config = description["config"]
    discriminator = MSSTFTDiscriminator(config["n_ffts"], config["hop_lengths"], n_filters=config["filters"])
    load_scales(tensors, discriminator)
    assert_outputs_alike(discriminator, tensors)


def test_msstft_spectrum_is_encodecs(golden, relative_error):
    tensors, _ = golden("msstftd_encodec")
    spectrum = MSSTFTDiscriminator([256], n_filters=1).networks[0].stft(tensors["input.audio"]).transpose(-1, -2)
    assert relative_error(spectrum.real, tensors["output.spec0_real"]) < FORWARD
    assert relative_error(spectrum.imag, tensors["output.spec0_imag"]) < FORWARD


def test_msstft_windows_may_be_shorter_than_their_transforms_as_audiocrafts(golden, relative_error):
    audio = golden("msstftd_encodec")[0]["input.audio"]
    discriminator = MSSTFTDiscriminator([256, 128], [50, 32], n_filters=1, window_lengths=[200, 128])
    for network, (n_fft, hop, window) in zip(discriminator.networks, [(256, 50, 200), (128, 32, 128)], strict=True):
        # AudioCraft's DiscriminatorSTFT transforms with it.
        reference = Spectrogram(
            n_fft, hop_length=hop, win_length=window, window_fn=torch.hann_window, normalized=True, center=False,
            pad_mode=None, power=None,
        )  # fmt: skip
        spectrum = network.stft(audio).transpose(-1, -2)
        assert spectrum.shape == reference(audio).shape
        assert relative_error(torch.view_as_real(spectrum), torch.view_as_real(reference(audio))) < FORWARD
    assert [output.logits.shape[2] for output in discriminator(audio)] == [(1900 - 256) // 50 + 1, 56]


def test_mpd_is_audiocrafts(golden, load_scales, assert_outputs_alike):
    tensors, description = golden("disc_mpd_audiocraft")
    config = description["config"]
    discriminator = MultiPeriodDiscriminator(
        config["periods"],
        n_filters=config["filters"] * config["filters_scale"],
        growth=config["filters_scale"],
        n_layers=config["n_layers"],
        kernel_size=config["kernel_sizes"][0],
        logits_kernel_size=config["kernel_sizes"][1],
        stride=config["stride"],
        max_filters=config["max_filters"],
        negative_slope=0.3,
        pad_full_period=False,
        normalize_input=False,
    )
    load_scales(tensors, discriminator)
    assert_outputs_alike(discriminator, tensors)


@pytest.fixture
def dac(golden, load_reference):
    tensors, description = golden("disc_dac")
    divisors = description["config"]["channel_divisors"]
    mpd = MultiPeriodDiscriminator(n_filters=32 // divisors["mpd"], max_filters=1024 // divisors["mpd"])
    bands = MultiBandSTFTDiscriminator(description["config"]["fft_sizes"], n_filters=32 // divisors["mrd"])
    pairs = []
    for k, network in enumerate(mpd.networks):
        pairs += [(conv, f"discriminators.{k}.convs.{i}.0") for i, conv in enumerate(network.stack.convs)]
    for k, network in enumerate(bands.networks, start=len(mpd.networks)):
        for b, stack in enumerate(network.stacks):
            pairs += [(conv, f"discriminators.{k}.band_convs.{b}.{i}.0") for i, conv in enumerate(stack.convs)]
    networks = [*mpd.networks, *bands.networks]
    pairs += [(network.post, f"discriminators.{k}.conv_post") for k, network in enumerate(networks)]
    load_reference(tensors, pairs)
    return Ensemble([mpd, bands]), tensors


def test_dacs_ensemble_is_the_released_one(dac, assert_outputs_alike):
    assert_outputs_alike(*dac, lambda outputs: sum((1 - one.logits).square().mean() for one in outputs))


def off_the_kinks(error, real, fake, audio):
    """An error of a gradient at ``audio`` without its part along what rounding alone decides.

    Where a feature is all but zero, leaky ReLU has one slope or the other, and where two are all but equal, their L1
    distance has one sign or the other: on a processor that rounds otherwise the gradient differs by a multiple of that
    feature's own gradient. There are few such features, and they can explain no other error.
    """
    directions = []
    for r, f in zip(real, fake, strict=True):
        for theirs, ours in zip(r.features, f.features, strict=True):
            nearest = torch.minimum((theirs - ours).abs(), ours.abs()).flatten()
            for index in (nearest <= TIE * theirs.abs().max()).nonzero():
                (slope,) = torch.autograd.grad(ours.flatten()[index], audio, torch.ones(1), retain_graph=True)
                directions.append(slope.flatten())
    assert len(directions) < 10
    if not directions:
        return error
    basis = torch.linalg.qr(torch.stack(directions, dim=1).double()).Q
    flat = error.flatten().double()
    return (flat - basis @ (basis.T @ flat)).view_as(error).float()


def assert_dac_losses(discriminator, tensors, relative_error):
    """Both players' losses and feature matching as ``GANLoss`` gives them, and their gradients at the fake audio."""
    fake = tensors["input.fake"].clone().requires_grad_()
    real_outputs, fake_outputs = discriminator(tensors["input.audio"]), discriminator(fake)
    adversarial, feature = LeastSquaresLoss(), FeatureMatchingLoss(relative=False, reduction="sum")
    values = {
        "discriminator": adversarial.discriminator(real_outputs, fake_outputs),
        "generator": adversarial.generator(fake_outputs),
        "feature": feature(real_outputs, fake_outputs),
    }
    for name, value in values.items():
        assert value.item() == pytest.approx(float(tensors[f"output.gan.{name}"]), rel=FORWARD)
    for name in ("generator", "feature"):
        (gradient,) = torch.autograd.grad(values[name], fake, retain_graph=True)
        expected = tensors[f"grad.fake.{name}"]
        error = off_the_kinks(gradient - expected, real_outputs, fake_outputs, fake)
        assert relative_error(expected + error, expected) < GRADIENT


def test_dac_losses_as_released(dac, relative_error):
    assert_dac_losses(*dac, relative_error)


ADVERSARIAL = {
    "hinge": HingeGANLoss,
    "hinge2": lambda reduction: HingeLoss(reduction=reduction),
    "mse": LeastSquaresLoss,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(("label", "reduction"), [("normalized", "mean"), ("summed", "sum")])
def test_adversarial_losses_are_audiocrafts(golden, shared, load_scales, relative_error, name, label, reduction):
    tensors, _ = golden("adversarial_msstftd_audiocraft")
    discriminator = MSSTFTDiscriminator((256, 512, 128), n_filters=4, negative_slope=0.3)
    load_scales(load_file(shared / "parity" / "disc_msstftd_audiocraft.safetensors"), discriminator)
    fake = tensors["input.fake"].clone().requires_grad_()
    real_outputs, fake_outputs = discriminator(tensors["input.real"]), discriminator(fake)
    loss = ADVERSARIAL[name](reduction)
    feature = FeatureMatchingLoss(relative=False, reduction=reduction)
    values = {
        "discriminator": loss.discriminator(real_outputs, fake_outputs),
        "generator": loss.generator(fake_outputs),
        "feature": feature(real_outputs, fake_outputs),
    }
    for part, value in values.items():
        expected = tensors.get(f"output.{name}.{label}.{part}", tensors[f"output.hinge.{label}.{part}"])
        assert value.item() == pytest.approx(float(expected), rel=FORWARD)
    for part in ("generator", "feature"):
        if f"grad.fake.{name}.{label}.{part}" in tensors:
            (gradient,) = torch.autograd.grad(values[part], fake, retain_graph=True)
            assert relative_error(gradient, tensors[f"grad.fake.{name}.{label}.{part}"]) < GRADIENT


@pytest.mark.shared
def test_msstft_is_audiocrafts(golden, load_scales, assert_outputs_alike):
    tensors, description = golden("disc_msstftd_audiocraft")
    config = description["config"]
    discriminator = MSSTFTDiscriminator(
        config["n_ffts"],
        config["hop_lengths"],
        window_lengths=config["win_lengths"],
        n_filters=config["filters"],
        negative_slope=config["activation_params"]["negative_slope"],
    )
    load_scales(tensors, discriminator)
    assert_outputs_alike(discriminator, tensors)


@pytest.mark.shared
def test_msd_is_audiocrafts(golden, load_reference, assert_outputs_alike):
    tensors, description = golden("disc_msd_audiocraft")
    config = description["config"]
    discriminator = MultiScaleDiscriminator(
        (1,) * len(config["scale_norms"]),
        n_filters=config["filters"],
        max_filters=config["max_filters"],
        conv_strides=config["downsample_scales"],
        negative_slope=config["activation_params"]["negative_slope"],
        spectral=False,
        kernel_sizes=(math.prod(config["kernel_sizes"]), *config["kernel_sizes"]),
    )
    pairs = []
    for k, network in enumerate(discriminator.networks):
        first, *others = network.stack.convs
        pairs.append((first, f"discriminators.{k}.convs.0.1.conv"))
        pairs += [(conv, f"discriminators.{k}.convs.{i}.conv") for i, conv in enumerate(others, start=1)]
        pairs.append((network.post, f"discriminators.{k}.conv_post.conv"))
    load_reference(tensors, pairs)
    assert_outputs_alike(discriminator, tensors)


@pytest.mark.shared
def test_msd_is_dacs(golden, load_reference, assert_outputs_alike, relative_error):
    tensors, description = golden("disc_dac_msd")
    discriminator = MultiScaleDiscriminator(
        description["config"]["rates"],
        n_filters=1,
        max_filters=64,
        negative_slope=0.1,
        downsampling="sinc",
        first_padding="zeros",
        spectral=False,
        normalize_input=True,
    )
    pairs = []
    for k, network in enumerate(discriminator.networks):
        pairs += [(conv, f"discriminators.{k}.convs.{i}.0") for i, conv in enumerate(network.stack.convs)]
        pairs.append((network.post, f"discriminators.{k}.conv_post"))
    load_reference(tensors, pairs)
    assert_outputs_alike(discriminator, tensors, LeastSquaresLoss().generator)
    assert_dac_losses(discriminator, tensors, relative_error)
