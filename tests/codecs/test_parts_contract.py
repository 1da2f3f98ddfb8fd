"""What every encoder and decoder promises, and what the papers say of their sizes."""

import pytest
import torch
from torch import nn

from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.layers.activation import Snake, make_activation
from codeclab.codecs.layers.convolution import PaddedConv1d, TrimmedConvTranspose1d
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.contracts.coder import DecoderContract, EncoderContract

LENGTHS = (1, 2, 5, 8, 61, 97)


class OfThePair:
    """Has a contract test one part of each pair, whose settings the defaults say nothing of."""

    position: int

    @pytest.fixture(autouse=True)
    def _take(self, pair):
        self.built, self.part = pair[self.position], type(pair[self.position])

    def build(self, seed=0):
        return self.built


class TestEncoders(OfThePair, EncoderContract):
    """The contract of encoders."""

    position = 0


class TestDecoders(OfThePair, DecoderContract):
    """The contract of decoders."""

    position = 1


@pytest.mark.parametrize("length", LENGTHS)
def test_frames_and_samples_of_any_length(pair, length):
    encoder, decoder = pair
    audio = torch.randn(2, encoder.channels, length)
    latent = encoder(audio)
    frames = -(-length // encoder.hop_length)
    assert latent.shape == (2, encoder.dimension, frames)
    decoded = decoder(latent)
    # The released design is one sample short at the stride of 3, which the stride of 2 after it doubles.
    lost = 2 if isinstance(decoder, DACDecoder) and 3 in decoder.strides else 0
    assert decoded.shape == (2, decoder.channels, frames * decoder.hop_length - lost)
    assert decoded.isfinite().all()


def test_every_parameter_learns(pair):
    encoder, decoder = pair
    audio = torch.randn(2, encoder.channels, 96)
    decoder(encoder(audio)).square().mean().backward()
    for part in pair:
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SEANetEncoder(n_filters=1), "n_filters is 1 and compress 2"),
        (lambda: SEANetDecoder(strides=[2, 0]), r"strides are \[2, 0\]"),
        (lambda: DACEncoder(strides=[]), r"strides are \[\]"),
        (lambda: DACDecoder(n_filters=12), "n_filters is 12; .* at least 16"),
        (lambda: DACEncoder(dimension=0), "dimension is 0"),
    ],
)
def test_sizes_that_cannot_work(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("pad_mode", "samples", "positions", "reflected"),
    # The last convolution's 7 taps reflect frames 1 to 6 to before the first: these lack a past to be made of.
    [("reflect", 160, (70, 100, 159), 7), ("constant", 64, range(64), 0)],
)
def test_a_causal_encoder_looks_ahead_only_where_it_reflects_its_start(pad_mode, samples, positions, reflected):
    encoder = SEANetEncoder(dimension=8, n_filters=4, strides=[2, 4], pad_mode=pad_mode)
    audio = torch.randn(1, 1, samples)
    for position in positions:
        changed = audio.clone()
        changed[..., position] += 1
        difference = (encoder(changed) - encoder(audio))[0].abs().amax(0)
        assert not difference[reflected : position // 8].any()
        assert difference[position // 8] > 0


def test_a_causal_decoder_never_looks_ahead():
    decoder = SEANetDecoder(dimension=8, n_filters=4, strides=[2, 4], pad_mode="constant")
    latent = torch.randn(1, 8, 12)
    for frame in range(12):
        changed = latent.clone()
        changed[..., frame] += 1
        difference = (decoder(changed) - decoder(latent))[0, 0].abs()
        assert not difference[: frame * 8].any()
        assert difference[frame * 8 : frame * 8 + 8].any()


def millions(part):
    return sum(parameter.numel() for parameter in part.parameters()) / 1e6


def test_sizes_are_those_of_the_papers():
    with torch.device("meta"):
        # Improved RVQGAN, section 4.3: 22M in the encoder, 54M in the decoder; 31M and 49M in all at 512 and 1024.
        encoder = DACEncoder()
        assert round(millions(encoder)) == 22
        assert round(millions(DACDecoder())) == 54
        assert round(millions(encoder) + millions(DACDecoder(n_filters=512))) == 31
        assert round(millions(encoder) + millions(DACDecoder(n_filters=1024))) == 49
        # EnCodec 24 kHz as released: 14.9M with both LSTMs and without codebooks.
        assert millions(SEANetEncoder()) == pytest.approx(7.43, abs=0.01)
        assert millions(SEANetDecoder()) == pytest.approx(7.43, abs=0.01)


@pytest.mark.parametrize("flags", [{"n_filters": 16}, {"n_filters": 64}, {"norm": "none"}, {"lstm_layers": 0}])
def test_rows_of_table_a3_are_flags(flags):
    with torch.device("meta"):
        for part in (SEANetEncoder(**flags), SEANetDecoder(**flags)):
            assert part.hop_length == 320
            assert any(isinstance(module, nn.LSTM) for module in part.modules()) == ("lstm_layers" not in flags)
            assert any("parametrizations" in name for name in part.state_dict()) == ("norm" not in flags)


def test_three_residual_units_are_dilated_by_powers_of_the_base():
    encoder = SEANetEncoder(dimension=4, n_filters=4, strides=[2], n_residual_layers=3, lstm_layers=0)
    windows = [layer.body[1].window for layer in encoder.layers if hasattr(layer, "body")]
    assert windows == [3, 5, 9]  # 3 taps dilated by 1, 2 and 4


def test_snake_by_hand():
    snake = Snake(2)
    snake.alpha.data = torch.tensor([0.5, 2.0])[None, :, None]
    x = torch.tensor([[[1.0], [-3.0]]])
    expected = [1 + torch.sin(torch.tensor(0.5)) ** 2 / 0.5, -3 + torch.sin(torch.tensor(-6.0)) ** 2 / 2]
    torch.testing.assert_close(snake(x).flatten(), torch.stack(expected))
    snake.alpha.data.zero_()
    assert torch.equal(snake(x), x)


def test_snakes_own_derivatives_are_those_of_its_formula():
    snake = Snake(3).double()
    x = torch.randn(2, 3, 7, dtype=torch.double, requires_grad=True)
    snake.alpha.data = torch.tensor([0.3, 1.0, 4.0], dtype=torch.double)[None, :, None]
    alpha = snake.alpha
    weights = torch.randn_like(x)
    ours = torch.autograd.grad((snake(x) * weights).sum(), (x, alpha))
    theirs = torch.autograd.grad(((x + torch.sin(alpha * x) ** 2 / (alpha + 1e-9)) * weights).sum(), (x, alpha))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_activations_by_name():
    assert isinstance(make_activation("snake", 3), Snake)
    assert make_activation("leaky_relu", 3)(torch.tensor(-1.0)) == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="no activation is called 'swish'; there are: snake, elu, relu, leaky_relu"):
        make_activation("swish", 3)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_padded_convolutions_keep_time(stride, causal, mode):
    down = PaddedConv1d(1, 2, 2 * stride, stride, 1, causal, "none", mode)
    up = TrimmedConvTranspose1d(2, 1, 2 * stride, stride, causal, "none")
    for length in (1, 2, 7, 30, 31):
        latent = down(torch.randn(1, 1, length))
        assert latent.shape[-1] == -(-length // stride)
        assert up(latent).shape[-1] == latent.shape[-1] * stride
