"""Adversarial and feature losses, worked by hand on tiny cases."""

import pytest
import torch

from codeclab.discriminators.adversarial import AdversarialLoss, HingeGANLoss, HingeLoss, LeastSquaresLoss
from codeclab.discriminators.base import DiscriminatorOutput
from codeclab.discriminators.feature_matching import FeatureMatchingLoss


def outputs_of(*logits):
    return [DiscriminatorOutput(torch.tensor(values), []) for values in logits]


def seen(*networks):
    return [DiscriminatorOutput(torch.zeros(1), [torch.tensor(values) for values in maps]) for maps in networks]


def test_bare_losses_are_audiocrafts(golden):
    tensors, _ = golden("adversarial_msstftd_audiocraft")
    logits = [DiscriminatorOutput(tensors["input.logits"], [])]
    losses = {"hinge": HingeGANLoss(), "hinge2": HingeLoss(), "mse": LeastSquaresLoss()}
    for name, loss in losses.items():
        real, fake = (tensors[f"output.bare.{name}.{side}"] for side in ("real", "fake"))
        torch.testing.assert_close(loss.generator(logits), tensors[f"output.bare.{name}.generator"])
        torch.testing.assert_close(loss.discriminator(logits, logits), real + fake)


def test_hinge_by_hand():
    real, fake = outputs_of([0.5, 2.0], [-1.0]), outputs_of([-0.5, -3.0], [1.5])
    # real: (0.5 + 0) / 2 and 2; fake: (0.5 + 0) / 2 and 2.5
    assert float(HingeLoss().discriminator(real, fake)) == pytest.approx((0.25 + 0.25 + 2 + 2.5) / 2)
    assert float(HingeLoss(reduction="sum").discriminator(real, fake)) == pytest.approx(0.25 + 0.25 + 2 + 2.5)
    # clipped: (1.5 + 4) / 2 and 0; plain: 3.5 / 2 and -1.5
    assert float(HingeLoss().generator(fake)) == pytest.approx(2.75 / 2)
    assert float(HingeGANLoss().generator(fake)) == pytest.approx((1.75 - 1.5) / 2)
    assert float(HingeLoss(clipped=False).generator(fake)) == float(HingeGANLoss().generator(fake))
    assert float(HingeGANLoss().discriminator(real, fake)) == float(HingeLoss().discriminator(real, fake))


def test_a_loss_written_before_0_2_plays_under_its_former_name():
    class Wasserstein(AdversarialLoss):
        def critic(self, real, fake):
            return fake[0].logits.mean() - real[0].logits.mean()

        def generator(self, fake):
            return -fake[0].logits.mean()

    assert float(Wasserstein().discriminator(outputs_of([3.0]), outputs_of([1.0]))) == -2


def test_least_squares_by_hand():
    real, fake = outputs_of([0.5, 1.0], [3.0]), outputs_of([0.0, 2.0], [1.0])
    assert float(LeastSquaresLoss().discriminator(real, fake)) == pytest.approx((0.125 + 2) + (4 + 1))
    assert float(LeastSquaresLoss().generator(fake)) == pytest.approx(1 + 0)
    assert float(LeastSquaresLoss("mean").generator(fake)) == pytest.approx(0.5)


@pytest.mark.parametrize("loss", [HingeLoss(), HingeLoss(clipped=False), LeastSquaresLoss()])
def test_the_players_pull_in_opposite_directions(loss):
    fake = torch.zeros(4, requires_grad=True)
    real = torch.zeros(4, requires_grad=True)
    output = [DiscriminatorOutput(fake, [])]
    (up,) = torch.autograd.grad(loss.generator(output), fake)
    value = loss.discriminator([DiscriminatorOutput(real, [])], [DiscriminatorOutput(fake + 0.1, [])])
    down, real_up = torch.autograd.grad(value, (fake, real))
    assert (up < 0).all()
    assert (down > 0).all()
    assert (real_up < 0).all()


def test_feature_matching_by_hand():
    real = seen([[[1.0, -3.0]], [[2.0]]], [[[4.0]], [[8.0]]])
    fake = seen([[[2.0, -3.0]], [[1.0]]], [[[4.0]], [[4.0]]])
    # maps: mean|d| 0.5, 1, 0, 4; mean|real| 2, 2, 4, 8
    assert float(FeatureMatchingLoss()(real, fake)) == pytest.approx((0.25 + 0.5 + 0 + 0.5) / 4)
    assert float(FeatureMatchingLoss(relative=False)(real, fake)) == pytest.approx((0.5 + 1 + 0 + 4) / 4)
    assert float(FeatureMatchingLoss(relative=False, reduction="sum")(real, fake)) == pytest.approx(5.5)


def test_the_relative_divisor_is_one_mean_over_the_whole_batch():
    real, fake = torch.tensor([[1.0], [9.0]]), torch.tensor([[2.0], [9.0]])
    value = FeatureMatchingLoss()([DiscriminatorOutput(real, [real])], [DiscriminatorOutput(fake, [fake])])
    assert float(value) == pytest.approx(0.5 / 5)


def test_a_mean_of_networks_with_few_and_many_maps():
    real = seen([[1.0]], [[1.0], [1.0], [1.0]])
    fake = seen([[3.0]], [[1.0], [1.0], [1.0]])
    assert float(FeatureMatchingLoss()(real, fake)) == pytest.approx(1.0)


@pytest.mark.parametrize("relative", [True, False])
def test_features_pull_only_on_the_fake_side_and_only_by_scale_when_relative(relative):
    loss = FeatureMatchingLoss(relative)
    real = torch.randn(2, 5, requires_grad=True)
    fake = torch.randn(2, 5, requires_grad=True)
    value = loss([DiscriminatorOutput(real, [real])], [DiscriminatorOutput(fake, [fake])])
    value.backward()
    assert real.grad is None
    assert fake.grad.abs().min() > 0
    scaled = loss([DiscriminatorOutput(real, [10 * real])], [DiscriminatorOutput(fake, [10 * fake])])
    assert (scaled / value).item() == pytest.approx(1 if relative else 10, rel=1e-5)
    assert loss([DiscriminatorOutput(real, [real])], [DiscriminatorOutput(real, [real])]).item() == 0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("relative", [True, False])
def test_feature_matching_has_the_formulas_value_and_gradient(relative, reduction):
    reals = [[torch.randn(2, 3, size) for size in sizes] for sizes in ([4, 7], [5])]
    fakes = [[torch.randn_like(r, requires_grad=True) for r in maps] for maps in reals]
    real_and_fake = [[DiscriminatorOutput(maps[0], maps) for maps in maps_of] for maps_of in (reals, fakes)]
    leaves = [f for maps in fakes for f in maps]

    def distance(r, f):
        return (r - f).abs().mean() / (r.abs().mean() if relative else 1)

    reduced = getattr(torch, reduction)
    per_network = [
        reduced(torch.stack([distance(*pair) for pair in zip(*maps, strict=True)]))
        for maps in zip(reals, fakes, strict=True)
    ]
    expected = reduced(torch.stack(per_network))
    value = FeatureMatchingLoss(relative, reduction)(*real_and_fake)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(3 * value, leaves), torch.autograd.grad(3 * expected, leaves))


def test_silent_real_features_stay_finite():
    zeros, ones = (
        [DiscriminatorOutput(torch.zeros(1), [torch.zeros(2, 3)])],
        [DiscriminatorOutput(torch.zeros(1), [torch.zeros(2, 3)])],
    )
    assert torch.isfinite(FeatureMatchingLoss()(zeros, ones))


def test_losses_are_float32_for_bfloat16_outputs():
    logits = torch.full((4,), 1 / 3, dtype=torch.bfloat16)
    output = [DiscriminatorOutput(logits, [logits])]
    other = [DiscriminatorOutput(logits, [logits * 2])]
    for value in (HingeLoss().generator(output), LeastSquaresLoss().generator(output)):
        assert value.dtype == torch.float32
    assert FeatureMatchingLoss()(output, other).dtype == torch.float32


def test_mismatched_or_missing_outputs_are_refused():
    with pytest.raises(ValueError, match="no discriminator outputs"):
        HingeLoss().generator([])
    with pytest.raises(ValueError, match="reduction is 'max'"):
        HingeLoss(reduction="max").generator(outputs_of([1.0]))
    with pytest.raises(ValueError, match="1 output for real and 2 for generated"):
        HingeLoss().discriminator(outputs_of([1.0]), outputs_of([1.0], [1.0]))
    with pytest.raises(ValueError, match="zip"):
        FeatureMatchingLoss()(seen([[1.0]]), seen([[1.0]], [[1.0]]))
