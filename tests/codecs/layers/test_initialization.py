from collections.abc import Callable

import pytest
import torch
from torch import nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.layers.activation import Activation
from codeclab.codecs.layers.initialization import AUDIO_RMS
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder


def over_time(latent: torch.Tensor) -> float:
    return float(latent.std(dim=-1).mean())


@pytest.mark.parametrize("norm", ["weight_norm", "none"])
def test_the_signal_keeps_its_size_through_a_variance_preserving_start(norm: str) -> None:
    audio = AUDIO_RMS * torch.randn(4, 1, 4000)
    for make, level in ((SEANetEncoder, 1.0), (SEANetDecoder, AUDIO_RMS)):
        part = make(n_filters=8, norm=norm, lstm_layers=0, weight_init="variance_preserving")
        released = make(n_filters=8, norm=norm, lstm_layers=0)
        given = audio if make is SEANetEncoder else torch.randn(4, part.dimension, 20)
        with torch.no_grad():
            assert 0.3 * level < over_time(part(given)) < 5 * level
            assert over_time(released(given)) < 0.1
            assert all(m.bias.abs().max() == 0 for m in part.modules() if isinstance(m, nn.Conv1d))


@pytest.mark.parametrize("activation", ["snake", "relu", "leaky_relu"])
def test_so_does_it_through_dac_whatever_the_activation(activation: Activation) -> None:
    torch.manual_seed(0)
    encoder = DACEncoder(n_filters=16, activation=activation, weight_init="variance_preserving")
    with torch.no_grad():
        assert 0.3 < float(encoder(AUDIO_RMS * torch.randn(4, 1, 4096)).square().mean().sqrt()) < 3


@pytest.mark.parametrize("make", [DACDecoder, SEANetDecoder])
def test_their_decoders_start_at_the_level_of_audio(make: Callable[..., Decoder]) -> None:
    torch.manual_seed(0)
    decoder = make(n_filters=64, weight_init="variance_preserving")
    with torch.no_grad():
        level = float(decoder(torch.randn(4, decoder.dimension, 20)).square().mean().sqrt())
    assert AUDIO_RMS / 3 < level < 3 * AUDIO_RMS


@pytest.mark.parametrize("make", [DACEncoder, SEANetEncoder])
def test_its_latent_tells_how_loud_a_frame_is(make: Callable[..., Encoder]) -> None:
    torch.manual_seed(0)
    encoder = make(n_filters=8, weight_init="variance_preserving")
    loud = AUDIO_RMS * torch.randn(8, 1, 8192)
    with torch.no_grad():
        means = [encoder(gain * loud).mean((0, 2)) for gain in (0.5, 2.0)]
        spread = encoder(loud).std((0, 2))
    # Of a linear encoder, noise of any loudness would have the mean zero.
    assert float(((means[1] - means[0]).abs() / spread).max()) > 0.3


def test_a_transposed_convolution_keeps_variance() -> None:
    part = SEANetDecoder(dimension=8, n_filters=64, strides=(8,), lstm_layers=0, weight_init="variance_preserving")
    up = next(m for m in part.modules() if isinstance(m, nn.ConvTranspose1d))
    with torch.no_grad():
        output = up(torch.randn(8, up.in_channels, 200))[..., 8:-8]
    assert float(output.var()) == pytest.approx(1.0, rel=0.2)


def test_dac_starts_without_biases_as_released() -> None:
    for part in (DACEncoder(n_filters=4), DACDecoder(dimension=64, n_filters=16)):
        assert all(m.bias.abs().max() == 0 for m in part.modules() if isinstance(m, nn.Conv1d))
        assert all(m.bias.abs().max() > 0 for m in part.modules() if isinstance(m, nn.ConvTranspose1d))
