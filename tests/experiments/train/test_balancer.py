"""The balancer: the references' numbers, equation 5 by hand, and its state."""

import pytest
import torch

from codeclab.experiments.train.balancer import Balancer

SETTINGS = [
    (0.999, "per_item", "balanced"),
    (0.999, "per_item", "unbalanced"),
    (0.999, "whole_batch", "balanced"),
    (0.9, "per_item", "balanced"),
    (0.9, "whole_batch", "balanced"),
]


def reference_gradients(tensors, step):
    y = tensors[f"input.y.{step}"].clone().requires_grad_()
    target = tensors[f"input.t.{step}"]
    losses = {
        "a": (y - target).abs().mean(),
        "b": 100 * (y - target).square().mean(),
        "c": 0.01 * (y * tensors["input.mask"]).pow(3).sum().abs(),
    }
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(float(tensors[f"output.loss_{name}.{step}"]), rel=1e-5)
    return {name: torch.autograd.grad(loss, y)[0] for name, loss in losses.items()}


@pytest.mark.parametrize(("decay", "norm", "mode"), SETTINGS)
def test_gradients_and_shares_are_the_references(golden, decay, norm, mode):
    tensors, description = golden("balancer")
    weights = description["config"]["weights"]
    balancer = Balancer(decay=decay, per_item=norm == "per_item", enabled=mode == "balanced")
    for step in range(3):
        combined = balancer.combine(reference_gradients(tensors, step), weights)
        prefix = f"output.decay{decay}.{norm}.{mode}"
        expected = tensors[f"{prefix}.grad.{step}"]
        assert (combined - expected).abs().max() < 1e-5 * expected.abs().max()
        for name in weights:
            share = float(tensors[f"{prefix}.ratio_{name}.{step}"])
            assert float(balancer.last_shares[name]) == pytest.approx(share, rel=1e-5)


def test_equation_five_by_hand():
    balancer = Balancer(total_norm=2.0, decay=0.5)
    weights = {"x": 1.0, "y": 3.0, "unused": 100.0}
    first = {"x": torch.tensor([[[3.0, 4.0]]]), "y": torch.tensor([[[0.0, 10.0]]])}
    # norms 5 and 10, shares 1/4 and 3/4 of 2
    torch.testing.assert_close(balancer.combine(first, weights), torch.tensor([[[0.3, 0.4 + 1.5]]]))
    second = {"x": torch.tensor([[[8.0, 0.0]]]), "y": torch.tensor([[[0.0, 10.0]]])}
    # running norm of x: (0.5 * 5 + 8) / 1.5 = 7
    torch.testing.assert_close(balancer.combine(second, weights), torch.tensor([[[0.5 * 8 / 7, 1.5]]]))


def test_each_loss_gives_its_share_whatever_its_scale():
    torch.manual_seed(1)
    gradients = {"small": 1e-6 * torch.randn(4, 1, 1000), "large": 1e6 * torch.randn(4, 1, 1000)}
    balanced = Balancer().combine(gradients, {"small": 1.0, "large": 1.0})
    for gradient in gradients.values():
        unit = gradient / gradient.flatten(1).norm(dim=1).mean()
        projection = (balanced * unit).flatten(1).sum(1).mean() / unit.square().flatten(1).sum(1).mean()
        assert projection.item() == pytest.approx(0.5, abs=0.05)


def test_vanished_gradients_stay_finite():
    gradients = {"x": torch.zeros(2, 1, 5), "y": torch.ones(2, 1, 5)}
    combined = Balancer().combine(gradients, {"x": 1.0, "y": 1.0})
    torch.testing.assert_close(combined, torch.full((2, 1, 5), 0.5 / 5**0.5))
    alone = Balancer()
    assert Balancer().combine({"x": torch.zeros(2, 1, 5)}, {"x": 1.0}).abs().max() == 0
    alone.combine({"x": torch.zeros(2, 1, 5)}, {"x": 1.0})
    assert float(alone.last_shares["x"]) == 0


def test_a_loss_may_pause_and_keeps_its_mean():
    balancer, weights = Balancer(decay=0.5), {"x": 1.0, "y": 1.0}
    x, y = torch.ones(1, 1, 4), torch.full((1, 1, 4), 3.0)
    balancer.combine({"x": x, "y": y}, weights)
    torch.testing.assert_close(balancer.combine({"x": x}, weights), x / 2)
    combined = balancer.combine({"x": x, "y": 2 * y}, weights)
    torch.testing.assert_close(combined, 0.5 * x / 2 + 0.5 * 2 * y / ((0.5 * 6 + 12) / 1.5))


def test_the_running_means_survive_a_checkpoint(tmp_path):
    def step(balancer, k):
        generator = torch.Generator().manual_seed(k)
        gradients = {name: torch.randn(2, 1, 9, generator=generator) for name in ("x", "y")}
        return balancer.combine(gradients, {"x": 1.0, "y": 2.0})

    saved = Balancer(decay=0.9)
    for k in range(3):
        step(saved, k)
    torch.save(saved.state_dict(), tmp_path / "state.pt")
    resumed = Balancer(decay=0.9)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    fresh = Balancer(decay=0.9)
    expected = step(saved, 3)
    assert torch.equal(step(resumed, 3), expected)
    assert not torch.allclose(step(fresh, 3), expected, rtol=1e-3)


def test_half_precision_gradients_are_combined_in_float32():
    gradient = torch.randn(2, 1, 100, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        combined = Balancer().combine({"x": gradient}, {"x": 1.0})
    assert combined.dtype == torch.float32
    assert combined.flatten(1).norm(dim=1).mean().item() == pytest.approx(1.0, rel=1e-5)


def test_wrong_arguments_are_named():
    gradients = {"x": torch.ones(1, 1, 2)}
    with pytest.raises(ValueError, match="no weight for x; weights are given for y"):
        Balancer().combine(gradients, {"y": 1.0})
    with pytest.raises(ValueError, match="one should be positive"):
        Balancer().combine(gradients, {"x": 0.0})
    with pytest.raises(ValueError, match="gradients is empty; give at least one"):
        Balancer().combine({}, {"x": 1.0})
    with pytest.raises(ValueError, match="decay is 1"):
        Balancer(decay=1.0)
    with pytest.raises(ValueError, match="total_norm is 0"):
        Balancer(total_norm=0.0)
