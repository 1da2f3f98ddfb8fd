"""What ResidualVQ promises beyond the reference's numbers, above all where the reference strays from the paper."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclab.quantizers.ema_update import learn_together
from codeclab.quantizers.residual_vq import ResidualVQ


def build(n_codebooks=3, codebook_size=8, **arguments):
    return ResidualVQ(dimension=4, n_codebooks=n_codebooks, codebook_size=codebook_size, **arguments)


def state(quantizer):
    return {name: value.clone() for name, value in quantizer.state_dict().items()}


def distortion(quantizer, latent):
    with torch.no_grad():
        return float((quantizer.decode(quantizer.encode(latent)) - latent).square().mean())


def test_every_codebook_commits_the_encoder_as_equation_3_says():
    latent = torch.randn(2, 4, 10, requires_grad=True)
    quantizer = build(kmeans_init=False)
    entries = [codebook.entries.clone() for codebook in quantizer.codebooks]
    out = quantizer(latent)
    left, loss, gradient = latent.detach(), 0.0, torch.zeros(2, 4, 10)
    for index, book in enumerate(entries):
        left = left - book[out.codes[:, index]].transpose(1, 2)
        loss += float(left.square().mean()) / 3
        gradient += 2 * left / left.numel() / 3
    assert out.losses["commitment"].item() == pytest.approx(loss, rel=1e-5)
    (ours,) = torch.autograd.grad(out.losses["commitment"], latent)
    torch.testing.assert_close(ours, gradient)


def test_gradient_of_the_latent_passes_straight_through_once():
    latent = torch.randn(2, 4, 10, requires_grad=True)
    weights = torch.randn(2, 4, 10)
    for training in (True, False):
        out = build().train(training)(latent)
        torch.testing.assert_close(torch.autograd.grad((out.latent * weights).sum(), latent)[0], weights)


def test_entries_found_by_kmeans_survive_the_first_update():
    latent = torch.randn(8, 4, 100)
    quantizer = build(n_codebooks=1, codebook_size=16)
    codebook = quantizer.codebooks[0]
    codebook.start(latent.transpose(1, 2).flatten(0, 1), 0)
    entries = codebook.entries.clone()
    torch.testing.assert_close(codebook.sums, entries * codebook.counts[:, None])
    codes = quantizer.encode(latent)[:, 0].flatten()
    learn_together([codebook], [latent.transpose(1, 2).flatten(0, 1)], [codes], [0])
    used = codebook.counts > 0
    norms = codebook.entries.norm(dim=1) / entries.norm(dim=1)
    assert bool(((norms[used] - 1).abs() < 0.05).all())


def test_the_first_batch_leaves_a_codebook_far_better_than_random():
    centres = 5 * torch.randn(8, 4)
    latent = (centres[torch.randint(8, (4, 50))] + 0.1 * torch.randn(4, 50, 4)).transpose(1, 2)
    quantizer = build(n_codebooks=1)
    before = distortion(quantizer, latent)
    quantizer(latent)
    assert distortion(quantizer, latent) < before / 5


def test_a_replaced_entry_lives_on_and_comes_from_the_batch():
    quantizer = build(n_codebooks=1, kmeans_init=False)
    codebook = quantizer.codebooks[0]
    codebook.entries[0] = -50.0
    codebook.counts.fill_(20.0)
    codebook.sums.copy_(codebook.entries * 20)
    codebook.entries[3], codebook.counts[3], codebook.sums[3] = 100.0, 0.0, 0.0
    latent = torch.randn(2, 4, 40)
    quantizer(latent)
    vectors = latent.transpose(1, 2).flatten(0, 1)
    replaced = codebook.entries[3].clone()
    assert bool((vectors == replaced).all(1).any())
    torch.testing.assert_close(codebook.sums[3], replaced * codebook.counts[3])
    # Nothing in the next batches is near it, and still it is not replaced again at once.
    far = torch.full((2, 4, 40), -50.0)
    for _ in range(3):
        quantizer(far)
        torch.testing.assert_close(codebook.entries[3], replaced, rtol=1e-4, atol=1e-5)


def test_unused_entries_come_into_use():
    latent = torch.randn(4, 4, 200)
    quantizer = build(n_codebooks=1, codebook_size=32, kmeans_init=False)
    quantizer.codebooks[0].entries[1:] += 100
    quantizer.codebooks[0].sums[1:] += 100
    assert len(quantizer.encode(latent).unique()) == 1
    for _ in range(100):
        quantizer(latent)
    assert len(quantizer.encode(latent).unique()) >= 30


def test_a_threshold_of_zero_replaces_nothing():
    quantizer = build(n_codebooks=1, kmeans_init=False, dead_threshold=0)
    codebook = quantizer.codebooks[0]
    codebook.entries[3], codebook.counts[3], codebook.sums[3] = 100.0, 0.0, 0.0
    quantizer(torch.randn(2, 4, 40))
    assert bool((codebook.entries[3] == 100).all())


def test_small_batches_do_not_replace_the_whole_codebook_each_step():
    quantizer = build(n_codebooks=1, codebook_size=64)
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        quantizer(torch.randn(1, 4, 20, generator=generator))
    before = quantizer.codebooks[0].entries.clone()
    quantizer(torch.randn(1, 4, 20, generator=generator))
    moved = (quantizer.codebooks[0].entries - before).norm(dim=1) > 0.2
    assert int(moved.sum()) < 16


def test_codebooks_beyond_the_number_in_use_neither_start_nor_count():
    quantizer = build()
    before = state(quantizer)
    quantizer(torch.randn(2, 4, 30), 2)
    after = quantizer.state_dict()
    assert [int(codebook.updates) for codebook in quantizer.codebooks] == [1, 1, 0]
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith("codebooks.2.")
    quantizer(torch.randn(2, 4, 30))
    assert [int(codebook.updates) for codebook in quantizer.codebooks] == [2, 2, 1]
    assert not torch.equal(before["codebooks.2.entries"], quantizer.codebooks[2].entries)


def test_codebooks_learn_only_from_the_items_that_use_them():
    latent = torch.randn(3, 4, 30)
    mixed, alone = build(n_codebooks=2), build(n_codebooks=2)
    for quantizer in (mixed, alone):
        quantizer(torch.randn(3, 4, 50, generator=torch.Generator().manual_seed(3)))
    alone.codebooks[0].load_state_dict(mixed.codebooks[0].state_dict())
    mixed(latent, torch.tensor([1, 2, 1]))
    alone(latent[1:2])
    for name in ("entries", "counts", "sums", "updates"):
        torch.testing.assert_close(mixed.codebooks[1].get_buffer(name), alone.codebooks[1].get_buffer(name))
        assert name == "updates" or not torch.equal(
            mixed.codebooks[0].get_buffer(name), alone.codebooks[0].get_buffer(name)
        )


def test_the_batch_loss_is_the_mean_of_what_items_would_give_alone():
    latent = torch.randn(3, 4, 20, requires_grad=True)
    counts = [1, 3, 2]
    out = build(kmeans_init=False)(latent, torch.tensor(counts))
    alone = [build(kmeans_init=False)(latent[i : i + 1], counts[i]).losses["commitment"] for i in range(3)]
    torch.testing.assert_close(out.losses["commitment"], torch.stack(alone).mean())
    ours = torch.autograd.grad(out.losses["commitment"], latent, retain_graph=True)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(torch.stack(alone).mean(), latent)[0])


def test_eval_mode_learns_nothing_and_has_no_loss():
    quantizer = build().eval()
    before = state(quantizer)
    latent = torch.randn(2, 4, 30, requires_grad=True)
    out = quantizer(latent)
    quantizer.train()
    assert torch.equal(quantizer.encode(latent), out.codes)
    assert float(out.losses["commitment"]) == 0
    assert all(torch.equal(value, quantizer.state_dict()[name]) for name, value in before.items())


def test_resumed_training_draws_what_the_uninterrupted_run_would():
    batches = torch.randn(6, 2, 4, 20)
    whole = build(codebook_size=32)
    for batch in batches[:3]:
        whole(batch)
    resumed = build(codebook_size=32)
    resumed.load_state_dict(whole.state_dict())
    torch.randn(100)
    for batch in batches[3:]:
        whole(batch)
        resumed(batch)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_each_update_and_each_codebook_draws_otherwise():
    latent = torch.randn(2, 4, 200)
    quantizer = build(kmeans_init=False)
    assert not torch.equal(quantizer.codebooks[0].entries, quantizer.codebooks[1].entries)
    start = state(quantizer)
    replaced = []
    for updates in range(3):
        quantizer.load_state_dict(start)
        for codebook in quantizer.codebooks:
            codebook.updates.fill_(updates)
            codebook.entries[3], codebook.counts[3], codebook.sums[3] = 100.0, 0.0, 0.0
        quantizer(latent, 1)
        replaced.append(quantizer.codebooks[0].entries[3].clone())
    assert len({tuple(entry.tolist()) for entry in replaced}) == 3


def test_another_seed_draws_otherwise():
    latent = torch.randn(2, 4, 200)
    first, second = build(seed=0), build(seed=1)
    first(latent)
    second(latent)
    assert not torch.equal(first.codebooks[0].entries, second.codebooks[0].entries)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 12))
def test_running_averages_are_those_of_the_equations(seed, batch, frames):
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(batch, 4, frames, generator=generator)
    quantizer = build(n_codebooks=1, kmeans_init=False, dead_threshold=0, decay=0.8)
    codebook = quantizer.codebooks[0]
    counts, sums = codebook.counts.clone(), codebook.sums.clone()
    codes = quantizer(latent).codes[:, 0].flatten()
    one_hot = torch.nn.functional.one_hot(codes, 8).float()
    counts = 0.8 * counts + 0.2 * one_hot.sum(0)
    sums = 0.8 * sums + 0.2 * one_hot.T @ latent.transpose(1, 2).flatten(0, 1)
    smoothed = (counts + 1e-5) / (counts.sum() + 8e-5) * counts.sum()
    torch.testing.assert_close(codebook.counts, counts)
    torch.testing.assert_close(codebook.sums, sums)
    torch.testing.assert_close(codebook.entries, sums / smoothed[:, None])


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"codebook_size": 0}, {"kmeans_iterations": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build(**wrong)


def test_the_commitment_of_equation_3_is_a_sum_over_codebooks_and_dimensions():
    latent = torch.randn(3, 4, 30)
    mean, total = (build(commitment=form) for form in ("mean", "sum"))
    total.load_state_dict(mean.state_dict())
    left, expected = latent.transpose(1, 2), 0.0
    mean(latent), total(latent)
    start = {name: value.clone() for name, value in total.state_dict().items()}
    for codebook in total.codebooks:
        entries = codebook.lookup(codebook.search(left.flatten(0, 1))).view_as(left)
        left = left - entries
        expected += float(left.square().sum(2).mean())
    total.load_state_dict(start)
    assert float(total(latent).losses["commitment"]) == pytest.approx(expected, rel=1e-5)
    mean.load_state_dict(start)
    books, dimension = len(total.codebooks), 4
    assert float(mean(latent).losses["commitment"]) == pytest.approx(expected / books / dimension, rel=1e-5)
    with pytest.raises(ValueError, match='commitment is "max"; it is "mean" .released. or "sum" .eq. 3.'):
        build(commitment="max")


def test_the_gradient_may_turn_with_the_latent():
    latent = torch.randn(2, 4, 50)
    results = []
    for gradient in ("straight_through", "rotation"):
        quantizer = build(gradient=gradient)
        quantizer(latent)
        given = latent.clone().requires_grad_()
        out = quantizer.eval()(given)
        results.append((out.latent.detach(), torch.autograd.grad(out.latent.square().sum(), given)[0]))
    assert torch.equal(results[0][0], results[1][0])
    # Straight through, the gradient of |q|^2 is 2 q; turned, it lies along the latent itself.
    torch.testing.assert_close(results[0][1], 2 * results[0][0])
    likeness = torch.nn.functional.cosine_similarity(results[1][1], latent, dim=1)
    torch.testing.assert_close(likeness, torch.ones_like(likeness), rtol=0, atol=1e-4)
