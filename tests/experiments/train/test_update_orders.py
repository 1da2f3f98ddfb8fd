"""The two update orders, and parts of a batch, against what plain autograd gives."""

import dataclasses

import pytest
import torch

RECIPES = ["encodec_24khz", "dac_44khz"]


def gradients_of_first_batch(watched, recipe, **settings):
    """Every gradient that the first batch's steps used, by name."""
    _, watch = watched(recipe, 1, **settings)
    collected = {}
    for _, _, gradients in watch.gradients:
        collected |= gradients
    return collected


def assert_same(left, right, rtol=1e-4):
    assert left.keys() == right.keys()
    largest = max(float(value.abs().max()) for value in left.values())
    for name, value in left.items():
        # A gradient that is zero but for rounding (a one-element weight norm) has no relative accuracy of its own.
        floor = max(rtol * float(value.abs().max()), 1e-6 * largest)
        torch.testing.assert_close(value, right[name], rtol=rtol, atol=floor, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_orders_agree_while_the_discriminators_stand_still(recipe, watched):
    """The generator's gradient differs between the orders only by what the discriminators learned in between."""
    settings = {"model__discriminator_probability": 0}
    joint = gradients_of_first_batch(watched, recipe, name="a", model__update_order="joint", **settings)
    first = gradients_of_first_batch(watched, recipe, name="b", model__update_order="discriminator_first", **settings)
    assert joint
    assert_same(joint, first)


@pytest.mark.parametrize("recipe", RECIPES)
def test_orders_agree_on_what_the_discriminators_learn(recipe, watched):
    settings = {"model__discriminator_probability": 1}
    joint = gradients_of_first_batch(watched, recipe, name="a", model__update_order="joint", **settings)
    first = gradients_of_first_batch(watched, recipe, name="b", model__update_order="discriminator_first", **settings)
    discriminators = [
        {n: g for n, g in gradients.items() if n.startswith("discriminators.")} for gradients in (joint, first)
    ]
    assert discriminators[0]
    assert_same(*discriminators)
    generators = [{n: g for n, g in gradients.items() if n.startswith("codec.")} for gradients in (joint, first)]
    assert any(not torch.allclose(generators[0][n], generators[1][n], rtol=1e-3) for n in generators[0])


@pytest.mark.parametrize("order", ["discriminator_first", "joint"])
def test_the_generators_gradient_is_that_of_the_weighted_loss(order, build):
    """Without a balancer, backward through ``(fake * gradient).sum()`` is backward of ``sum_i w_i loss_i``."""
    model = build("dac_44khz", model__update_order=order).model
    update = dataclasses.replace(model.update, backward=torch.Tensor.backward)
    real = 0.3 * torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(3))
    items = torch.arange(2)
    n_codebooks = model.rate_sampling.sample(model.seed, 0, items, model.codec)
    update.both(model.code(real, n_codebooks, True), model.discriminators_of(0), None, share=1.0)
    ours = {name: p.grad.clone() for name, p in model.codec.named_parameters()}

    model.zero_grad(set_to_none=True)
    fake, quantized = model.codec(real, model.rate_sampling.sample(model.seed, 0, items, model.codec))
    ensemble = model.discriminators[0]
    judged = ensemble(fake)
    loss = (
        15 * model.spectral_loss(fake, real)
        + 2 * model.feature_loss(ensemble(real), judged)
        + 1 * model.adversarial_loss.generator(judged)
        + 1 * quantized.losses["codebook"]
        + 0.25 * quantized.losses["commitment"]
    )
    loss.backward()
    assert_same(ours, {name: p.grad for name, p in model.codec.named_parameters()})


def test_parts_of_a_batch_add_up_to_the_batch(watched):
    """DAC's losses are means over items, FactorizedVQ learns by gradient alone, and there is no balancer.

    Running codebooks and the balancer's means would be updated once a part; the relative feature loss divides by a
    mean over the part: those recipes accumulate too, but not to the last digit.
    """
    settings = {"model__update_order": "joint"}
    whole = gradients_of_first_batch(watched, "dac_44khz", name="a", **settings)
    parts = gradients_of_first_batch(watched, "dac_44khz", name="b", model__accumulate=2, **settings)
    uneven = gradients_of_first_batch(watched, "dac_44khz", name="c", model__accumulate=3, **settings)
    assert any(name.startswith("discriminators.") for name in whole)
    assert_same(whole, parts)
    assert_same(whole, uneven)


def test_parts_of_a_balanced_batch_keep_its_size(watched):
    """The balanced gradient has one norm an item, however a batch is cut."""
    settings = {"model__update_order": "joint", "model__discriminator_probability": 0, "model__weights__commitment": 0}
    whole = gradients_of_first_batch(watched, "encodec_24khz", name="a", **settings)
    parts = gradients_of_first_batch(watched, "encodec_24khz", name="b", model__accumulate=4, **settings)
    norms = [torch.stack([g.norm() for g in gradients.values()]).norm() for gradients in (whole, parts)]
    assert 0.5 < float(norms[1] / norms[0]) < 2


def test_figures_of_parts_are_means_over_the_batch(build):
    rows = []
    for name, parts in (("a", 1), ("b", 2)):
        cli = build("dac_44khz", 1, name=name, model__update_order="joint", model__accumulate=parts)
        cli.execute()
        header, row = (line.split(",") for line in cli.folder.metrics.read_text().splitlines())
        rows.append({k: float(v) for k, v in zip(header, row, strict=True) if k.startswith("train/")})
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


def test_parts_need_the_joint_order(build):
    with pytest.raises(ValueError, match="needs update_order joint"):
        build("dac_44khz", model__accumulate=2)
