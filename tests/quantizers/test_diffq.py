"""DiffQ against the equations of EnCodec, A.2.1, worked by hand, and their limits."""

from pathlib import Path

import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.diffq import DiffQ
from codeclab.quantizers.usage import CodebookCounts


def build(bits, dimension=2, **arguments):
    return DiffQ(dimension=dimension, initial_bits=bits, **arguments)


def test_indices_and_levels_worked_by_hand():
    # 2 bits: 4 levels. m = 1, s = 2, L = 3: the range is -5 to 7, levels 3 wide with middles -3.5, -0.5, 2.5, 5.5.
    quantizer = build(2.0, dimension=1).eval()
    quantizer.mean.fill_(1.0)
    quantizer.variance.fill_(4.0)
    latent = torch.tensor([[[-100.0, -4.9, -2.1, -1.9, 1.1, 6.9, 7.0, 100.0]]])
    codes = torch.tensor([[[0, 0, 0, 1, 2, 3, 3, 3]]])
    assert quantizer.codebook_sizes == [4]
    assert torch.equal(quantizer.encode(latent), codes)
    middles = torch.tensor([-3.5, -0.5, 2.5, 5.5])
    torch.testing.assert_close(quantizer.decode(codes), middles[codes])
    out = quantizer(latent)
    torch.testing.assert_close(out.latent, middles[codes])
    assert torch.equal(out.codes, codes)
    assert out.bits.tolist() == [2.0]


def test_less_than_one_bit_shrinks_the_levels_too():
    # round(2^0.8) = 2 levels, at -L s / 2 and L s / 2, shrunk by 0.8.
    quantizer = build(0.8, dimension=1).eval()
    levels = quantizer.decode(torch.tensor([[[0, 1, -1]]]))
    torch.testing.assert_close(levels, torch.tensor([[[-1.2, 1.2, 0.0]]]))


def test_training_adds_uniform_noise_of_equation_6():
    quantizer = build(2.0, dimension=1)
    latent = torch.randn(8, 1, 500)
    out = quantizer(latent)
    reach = 3 * latent.std(correction=0)
    assert float(latent.abs().max()) > float(reach)
    noise = out.latent.detach() - latent.clamp(latent.mean() - reach, latent.mean() + reach)
    assert float(noise.abs().max()) <= float(reach) / 4
    assert float(noise.var()) == pytest.approx(float(reach / 4) ** 2 / 3, rel=0.05)


def test_less_than_one_bit_shrinks_the_signal_more_than_the_noise():
    latent = torch.randn(4, 1, 2000)
    quantizer = build(0.25, dimension=1)
    out = quantizer(latent).latent.detach()
    centred, reach = latent - latent.mean(), 3 * latent.std(correction=0)
    slope = float((out * centred).mean() / centred.square().mean())
    assert slope == pytest.approx(0.25, abs=0.06)
    noise = (out - latent.mean() - 0.25 * centred.clamp(-reach, reach)).detach()
    assert float(noise.abs().max()) <= float(reach) * 0.5 / 2**0.25 + 1e-5
    assert float(noise.abs().max()) > 0.95 * float(reach) * 0.5 / 2**0.25


def test_many_bits_are_the_identity_and_none_tell_nothing():
    latent = torch.randn(4, 2, 200).clamp(-2, 2)
    for training in (True, False):
        fine, coarse = build(14.999), build(1e-6)
        for quantizer in (fine, coarse):
            quantizer(latent)
            quantizer.train(training)
        torch.testing.assert_close(fine(latent).latent, latent, rtol=0, atol=1e-3)
        left = coarse(latent).latent - coarse.mean[:, None]
        assert float(left.detach().abs().max()) < 0.01
    assert coarse.codebook_sizes == [1, 1]
    assert coarse.bits_per_frame() == 0.0


def test_rate_estimate_equals_measured_entropy():
    quantizer = build(4.0, dimension=3).eval()
    latent = 6 * torch.rand(4, 3, 5000) - 3
    counts = CodebookCounts(quantizer.codebook_sizes)
    counts.update(quantizer.encode(latent))
    assert float(counts.entropy().sum()) == pytest.approx(float(quantizer.dimension_bits.sum().detach()), rel=0.02)


def test_rate_is_a_loss_above_the_target_only():
    latent = torch.randn(1, 2, 10)
    quantizer = build(5.0, target_bitrate=0.3, frame_rate=50.0)
    out = quantizer(latent)
    assert out.bits.tolist() == pytest.approx([10.0])
    assert out.losses["rate"].item() == pytest.approx(10 * 50 / 1000 - 0.3)
    (gradient,) = torch.autograd.grad(out.losses["rate"], quantizer.v)
    assert gradient.tolist() == pytest.approx([5 * 5.0 * (1 - 5.0 / 15) * 50 / 1000] * 2, rel=1e-5)
    out = build(5.0, target_bitrate=0.6, frame_rate=50.0)(latent)
    assert out.losses["rate"].item() == 0


def test_descent_on_the_rate_reaches_the_target():
    quantizer = build(7.5, dimension=8, target_bitrate=1.5, frame_rate=75.0)
    latent = torch.randn(1, 8, 10)
    for _ in range(400):
        (gradient,) = torch.autograd.grad(quantizer(latent).losses["rate"], quantizer.v)
        quantizer.v.data -= 0.002 * gradient
    assert quantizer.bits_per_frame() * 75 / 1000 == pytest.approx(1.5, rel=0.05)


def test_statistics_run_as_an_average_and_stop_in_eval_mode():
    quantizer = build(8.0)
    first, second = torch.randn(3, 2, 50) * 2 + 10, torch.randn(3, 2, 50)
    quantizer(first)
    torch.testing.assert_close(quantizer.mean, first.mean((0, 2)))
    torch.testing.assert_close(quantizer.variance, first.var((0, 2), correction=0))
    quantizer(second)
    torch.testing.assert_close(quantizer.mean, 0.9 * first.mean((0, 2)) + 0.1 * second.mean((0, 2)))
    before = quantizer.mean.clone()
    quantizer.eval()(first)
    assert torch.equal(quantizer.mean, before)


def test_noise_depends_on_seed_and_update_alone():
    latent = torch.randn(2, 2, 30)
    one, other = build(2.0), build(2.0)
    first = one(latent).latent
    assert torch.equal(first, other(latent).latent)
    assert not torch.equal(one(latent).latent, first)
    assert not torch.equal(build(2.0, seed=1)(latent).latent, first)


def test_latent_and_bits_have_gradients():
    latent = torch.randn(2, 2, 30, requires_grad=True)
    quantizer = build(3.0)
    quantizer(latent).latent.square().sum().backward()
    assert bool((latent.grad != 0).any())
    assert bool((quantizer.v.grad != 0).all())


def test_decoding_the_codes_gives_the_quantized_latent_under_autocast_too():
    quantizer = build(12.0).eval()
    latent = torch.randn(2, 2, 30).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = quantizer(latent)
        assert torch.equal(quantizer.decode(out.codes), out.latent)
    assert torch.equal(out.codes, quantizer.encode(latent.float()))
    assert out.latent.dtype == torch.float32


def test_what_diffq_cannot_do_is_refused():
    quantizer = build(2.0)
    latent = torch.randn(2, 2, 5)
    assert quantizer.encode(latent, 2).shape == (2, 2, 5)
    for count in (1, torch.tensor([2, 1])):
        with pytest.raises(ValueError, match="uses all 2, always"):
            quantizer.encode(latent, count)
    with pytest.raises(ValueError, match="values from 4 to 4"):
        quantizer.decode(torch.full((1, 2, 3), 4))
    with pytest.raises(ValueError, match="uses all 2"):
        quantizer.decode(torch.zeros(1, 1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="between 0 and 15"):
        build(15.0)
    with pytest.raises(ValueError, match="should be positive"):
        build(2.0, target_bitrate=0.0)


def test_a_codec_follows_the_learnt_rate(tmp_path: Path) -> None:
    encoder = SEANetEncoder(dimension=8, n_filters=2, strides=(4,), lstm_layers=0)
    decoder = SEANetDecoder(dimension=8, n_filters=2, strides=(4,), lstm_layers=0)
    codec = Codec(encoder, DiffQ(dimension=8, frame_rate=2000.0), decoder, sample_rate=8000)
    before = codec.bitrates
    with torch.no_grad():
        for parameter in codec.quantizer.parameters():
            parameter.sub_(1.0)
    assert len(codec.bitrates) == 1
    assert codec.bitrates[0] < before[0]
    codec.eval().save(tmp_path)
    again = Codec.from_pretrained(tmp_path)
    assert again.bitrates == codec.bitrates
    audio = torch.randn(1, 1, 400)
    assert torch.equal(again.encode(audio).codes, codec.encode(audio, bitrate=codec.bitrates[0]).codes)


@pytest.mark.parametrize("bits", [2.3, 3.3, 5.7])
def test_rate_estimate_and_cost_of_codes_equal_the_entropy_of_any_number_of_levels(bits):
    # round(2^B) levels cost within 2 % of B from about two bits on.
    quantizer = build(bits, dimension=2).eval()
    codes = quantizer.encode(6 * torch.rand(4, 2, 20000) - 3)
    counts = CodebookCounts(quantizer.codebook_sizes)
    counts.update(codes)
    entropy = float(counts.entropy().sum())
    assert entropy == pytest.approx(2 * bits, rel=0.02)
    assert quantizer.code_bits(codes).tolist() == pytest.approx([entropy] * 4, rel=0.02)
    assert quantizer.code_bits(codes).tolist() == pytest.approx([quantizer.bits_per_frame()] * 4)


@pytest.mark.parametrize("bits", [0.4, 3.0])
@pytest.mark.parametrize("name", ["v", "latent"])
def test_gradients_are_those_of_finite_differences(name, bits, assert_gradient_is_the_slope):
    quantizer = build(bits)
    latent = torch.randn(4, 2, 50).clamp(-2, 2).requires_grad_()
    varied = latent if name == "latent" else quantizer.v
    weight = torch.randn(4, 2, 50)
    # Mean and deviation are constants for the gradient: those of the latent as it was.
    mean, deviation = latent.detach().mean((0, 2)), latent.detach().std((0, 2))

    def objective():
        quantizer.updates.zero_()
        return (quantizer._add_noise(latent, mean, deviation) * weight).sum() + quantizer.dimension_bits.sum()

    assert_gradient_is_the_slope(objective, varied, 1e-3)
