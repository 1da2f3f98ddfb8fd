"""The Gumbel-softmax quantizer against the equations of EnCodec, A.2.2."""

import math

import pytest
import torch

from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.usage import CodebookCounts


def build(**arguments):
    return GumbelSoftmax(**({"dimension": 4, "n_codebooks": 3, "codebook_size": 8} | arguments))


def distribution(quantizer, latent, codebook):
    scores = latent.transpose(1, 2) @ quantizer.centroids[codebook].T + quantizer.bias[codebook]
    return scores.softmax(-1).detach()


def test_argmax_takes_the_most_probable_entries():
    quantizer = build(choice="argmax").eval()
    quantizer.bias.data.normal_()
    latent = torch.randn(2, 4, 20)
    out = quantizer(latent)
    for codebook in range(3):
        assert torch.equal(out.codes[:, codebook], distribution(quantizer, latent, codebook).argmax(-1))
    expected = sum(quantizer.centroids[k][out.codes[:, k]] for k in range(3)).transpose(1, 2)
    torch.testing.assert_close(out.latent, expected)
    assert torch.equal(quantizer.encode(latent), out.codes)
    assert torch.equal(quantizer.decode(out.codes), out.latent)


@pytest.mark.parametrize("training", [True, False])
def test_draws_follow_the_distribution(training):
    quantizer = build(n_codebooks=1).train(training)
    latent = torch.randn(1, 4, 1).expand(1, 4, 20000)
    codes = quantizer(latent).codes[0, 0]
    shares = torch.bincount(codes, minlength=8) / len(codes)
    torch.testing.assert_close(shares, distribution(quantizer, latent[..., :1], 0)[0, 0], rtol=0, atol=0.015)


def test_training_is_the_weighted_sum_of_equation_8():
    latent = torch.randn(2, 4, 20)
    hard = build(temperature=1e-3)
    out = hard(latent)
    torch.testing.assert_close(out.latent, hard.decode(out.codes), rtol=0, atol=0.05)
    # So hot that all centroids weigh the same.
    warm = build(temperature=1e6)
    mean = warm.centroids.mean(1).sum(0)[None, :, None]
    torch.testing.assert_close(warm(latent).latent, mean.expand(2, 4, 20), rtol=0, atol=1e-4)


def test_rate_is_the_cross_entropy_of_prior_and_posterior():
    quantizer = build(target_bitrate=0.1, frame_rate=50.0)
    quantizer.prior_logits.data.normal_()
    latent = torch.randn(2, 4, 20)
    out = quantizer(latent)
    bits = torch.zeros(2)
    for codebook in range(3):
        prior = quantizer.prior_logits[codebook].softmax(-1).detach()
        bits -= (distribution(quantizer, latent, codebook) * prior.log2()).sum(-1).mean(1)
    torch.testing.assert_close(out.bits.detach(), bits)
    kbps = float(bits.mean()) * 50 / 1000
    assert out.losses["rate"].item() == pytest.approx(kbps - 0.1, rel=1e-4)
    assert out.losses["prior"].item() == pytest.approx(kbps, rel=1e-4)
    parameters = [quantizer.centroids, quantizer.prior_logits]

    def gradients(loss):
        return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)

    assert gradients(out.losses["rate"])[1] is None
    assert gradients(out.losses["prior"])[0] is None
    split = gradients(out.losses["rate"] + out.losses["prior"])
    for ours, whole in zip(split, gradients(out.bits.mean() * 50 / 1000), strict=True):
        torch.testing.assert_close(ours, whole)


def test_rate_estimate_equals_measured_entropy():
    quantizer = build(dimension=1, codebook_size=16).eval()
    quantizer.centroids.data.zero_()
    quantizer.bias.data.normal_()
    quantizer.prior_logits.data.copy_(quantizer.bias)
    latent = torch.zeros(1, 1, 20000)
    out = quantizer(latent)
    counts = CodebookCounts(quantizer.codebook_sizes)
    counts.update(out.codes)
    assert float(counts.entropy().sum()) == pytest.approx(out.bits.item(), rel=0.02)


def test_below_the_target_the_rate_is_drawn_up_as_steeply() -> None:
    latent = torch.randn(1, 4, 5, requires_grad=True)
    slopes = []
    for target in (0.001, 10.0):
        torch.manual_seed(0)
        quantizer = build(target_bitrate=target)
        quantizer.prior_logits.data.normal_()
        out = quantizer(latent)
        distance = out.bits.item() * quantizer.frame_rate / 1000 - target
        assert out.losses["rate"].item() == pytest.approx(abs(distance), rel=1e-4)
        slopes.append(torch.autograd.grad(out.losses["rate"], latent)[0])
    torch.testing.assert_close(slopes[0], -slopes[1])
    assert float(slopes[0].abs().max()) > 0


def test_codes_that_became_one_part_again_until_the_target_is_met() -> None:
    quantizer = build(codebook_size=16, target_bitrate=0.3, frame_rate=50.0, alpha=5.0)
    latent = torch.randn(4, 4, 50)
    quantizer.bias.data[:, 0] = 6.0  # one code for nearly all frames, which the prior has learnt
    quantizer.prior_logits.data[:, 0] = 2.0
    assert quantizer(latent).bits.mean().item() * 50 / 1000 < 0.25
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.02)
    for _ in range(300):
        losses = quantizer(latent).losses
        optimizer.zero_grad()
        (losses["rate"] + losses["prior"]).backward()
        optimizer.step()
    assert quantizer(latent).bits.mean().item() * 50 / 1000 == pytest.approx(0.3, rel=0.05)


def test_the_prior_is_given_as_log_probabilities():
    quantizer = build()
    quantizer.prior_logits.data.normal_()
    torch.testing.assert_close(quantizer.log_prior().exp().sum(-1), torch.ones(3))
    assert build().log_prior().detach().flatten().tolist() == pytest.approx([-math.log(8)] * 24)


def test_codes_do_not_depend_on_the_batch_the_length_or_how_many_are_asked():
    quantizer = build()
    latent = torch.randn(3, 4, 20)
    codes = quantizer.encode(latent)
    assert torch.equal(quantizer.encode(latent), codes)
    assert torch.equal(quantizer.encode(latent[1:2]), codes[1:2])
    assert torch.equal(quantizer.encode(latent[..., :7]), codes[..., :7])
    assert torch.equal(quantizer.encode(latent, 2), codes[:, :2])
    assert not torch.equal(build(seed=1).encode(latent), codes)


@pytest.mark.parametrize("training", [True, False])
def test_numbers_per_item(training):
    quantizer = build().train(training)
    latent = torch.randn(2, 4, 10)
    out = quantizer(latent, torch.tensor([1, 3]))
    assert bool((out.codes[0, 1:] == ABSENT).all())
    assert bool((out.codes[1] >= 0).all())
    assert out.bits.tolist() == pytest.approx([3.0, 9.0])
    alone = build().train(training)
    alone.load_state_dict(quantizer.state_dict())
    alone.updates.zero_()
    torch.testing.assert_close(alone(latent[:1], 1).latent, out.latent[:1])


def test_noise_in_training_moves_with_the_updates():
    latent = torch.randn(2, 4, 10)
    quantizer, other = build(), build()
    other.load_state_dict(quantizer.state_dict())
    first = quantizer(latent).latent
    assert torch.equal(other(latent).latent, first)
    assert not torch.equal(quantizer(latent).latent, first)


def test_arithmetic_stays_float32_under_autocast():
    quantizer = build().eval()
    latent = torch.randn(2, 4, 500).bfloat16()
    plain = quantizer(latent.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = quantizer(latent)
    assert torch.equal(cast.codes, plain.codes)
    assert torch.equal(cast.latent, plain.latent)
    assert torch.equal(cast.bits, plain.bits)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"choice": "best"}, {"codebook_size": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build(**wrong)


def test_codes_cost_what_the_prior_says():
    quantizer = build(dimension=1, n_codebooks=2, codebook_size=3)
    quantizer.prior_logits.data.copy_(torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]).log())
    codes = torch.tensor([[[0, 1], [2, 0]], [[0, 0], [ABSENT, ABSENT]]])
    # (1 + 3 and 2 + 3 bits), and one codebook of 1 bit twice.
    assert quantizer.code_bits(codes).tolist() == pytest.approx([4.5, 1.0])


def test_alpha_lets_the_prior_learn_faster():
    plain, fast = build(), build(alpha=30.0)
    logits = torch.randn(3, 8)
    plain.prior_logits.data.copy_(30 * logits)
    fast.prior_logits.data.copy_(logits)
    torch.testing.assert_close(fast.log_prior(), plain.log_prior())
    with pytest.raises(ValueError, match="alpha 0.0 should be positive"):
        build(alpha=0.0)


@pytest.mark.parametrize("name", ["centroids", "bias", "prior_logits", "latent"])
def test_gradients_are_those_of_finite_differences(name, assert_gradient_is_the_slope):
    quantizer = build(target_bitrate=0.01)
    for parameter in (quantizer.bias, quantizer.prior_logits):
        parameter.data.normal_()
    latent = torch.randn(2, 4, 6, requires_grad=True)
    varied = latent if name == "latent" else getattr(quantizer, name)
    weight = torch.randn(2, 4, 6)

    def objective():
        quantizer.updates.zero_()
        out = quantizer(latent)
        # The two losses hold the posterior or the prior fixed: their sum's gradient is that of the bits.
        return (out.latent * weight).sum() + 3 * out.bits.sum()

    assert_gradient_is_the_slope(objective, varied, 1e-2)


def test_a_shifted_posterior_costs_more_than_its_entropy():
    # Cross entropy, of draws as of the estimate: posterior (3/4, 1/4) coded by the prior (1/4, 3/4).
    quantizer = build(dimension=1, n_codebooks=1, codebook_size=2).eval()
    quantizer.centroids.data.zero_()
    quantizer.bias.data.copy_(torch.tensor([[3.0, 1.0]]).log())
    quantizer.prior_logits.data.copy_(torch.tensor([[1.0, 3.0]]).log())
    out = quantizer(torch.zeros(1, 1, 20000))
    assert out.bits.item() == pytest.approx(0.75 * 2 + 0.25 * math.log2(4 / 3), rel=1e-5)
    assert quantizer.code_bits(out.codes).item() == pytest.approx(out.bits.item(), rel=0.02)
