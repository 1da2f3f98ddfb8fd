"""The receptive field, against gradients through the real layers."""

import pytest
import torch
from torch import nn

from codeclab.codecs.base import Encoder
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.receptive_field import receptive_field
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.spectral import SpectralEncoder
from codeclab.codecs.vocos import VocosDecoder

SEANET = {"dimension": 6, "n_filters": 4, "strides": [2, 3], "lstm_layers": 0, "norm": "none"}
VOCOS = {"dimension": 6, "strides": [4, 2], "n_fft": 12, "hop": 4, "width": 4, "n_blocks": 1}
BUILT = {
    "causal": lambda: (SEANetEncoder(**SEANET), SEANetDecoder(**SEANET)),
    "centred": lambda: (SEANetEncoder(**SEANET, causal=False), SEANetDecoder(**SEANET, causal=False)),
    "dac": lambda: (DACEncoder(n_filters=2, strides=[2, 4]), DACDecoder(8, n_filters=8, strides=[2, 4])),
    "vocos": lambda: (SpectralEncoder(**VOCOS), VocosDecoder(**VOCOS)),
    "dac-odd": lambda: (DACEncoder(n_filters=2, strides=[3, 2]), DACDecoder(8, n_filters=8, strides=[3, 2])),
}


def seen_by(encoder, decoder, hop, samples):
    """Past and future seen by the samples of one hop in the middle, by the gradient of each."""
    audio = torch.randn(1, 1, samples, dtype=torch.float64, requires_grad=True)
    decoded = decoder(encoder(audio))
    past = future = 0
    middle = samples // 2 // hop * hop
    for sample in range(middle, middle + hop):
        (gradient,) = torch.autograd.grad(decoded[0, 0, sample], audio, retain_graph=True)
        seen = gradient[0, 0].nonzero()
        assert seen[0] > 0
        assert seen[-1] < samples - 1
        past, future = max(past, sample - int(seen[0])), max(future, int(seen[-1]) - sample)
    return past, future


@pytest.mark.parametrize("kind", list(BUILT))
def test_encoder_and_decoder_see_what_gradients_say(kind):
    encoder, decoder = BUILT[kind]()
    first, second = receptive_field(encoder), receptive_field(decoder)
    assert not first.unbounded
    assert not second.unbounded
    past, future = seen_by(encoder.double(), decoder.double(), encoder.hop_length, 960)
    assert (first.samples_past + second.samples_past, first.samples_future + second.samples_future) == (past, future)


def test_a_causal_codec_sees_no_further_than_its_own_hop():
    reach = receptive_field(SEANetEncoder(**SEANET))
    # By hand: 7 taps; at every and at every 2nd sample units of 3 and convolutions of 2 * stride taps; 7 at every 6th.
    assert reach.samples_past + reach.samples_future == 6 + 2 + 3 + 2 * 2 + 2 * 5 + 6 * 6
    assert reach.samples_future < 6


def test_encodec_needs_320_samples_before_the_first_comes_out():
    # EnCodec, section 3.1: "the model can output 320 samples (13 ms) as soon as the first 320 samples are received".
    with torch.device("meta"):
        encoder, decoder = SEANetEncoder(), SEANetDecoder()
    assert receptive_field(encoder).samples_future == 319
    assert receptive_field(decoder).samples_future == 0


def test_a_causal_vocos_waits_for_its_own_hop_alone():
    encoder, decoder = SpectralEncoder(**VOCOS, causal=True), VocosDecoder(**VOCOS, causal=True)
    assert receptive_field(encoder).samples_future == encoder.hop_length - 1
    assert receptive_field(decoder).samples_future == 0


@pytest.mark.parametrize("layer", [{"lstm_layers": 2}, {"norm": "time_group_norm", "causal": False}])
def test_recurrence_and_norms_over_time_are_unbounded(layer):
    bounded = receptive_field(SEANetEncoder(**SEANET | {"causal": layer.get("causal", True)}))
    reach = receptive_field(SEANetEncoder(**SEANET | layer))
    assert reach.unbounded
    assert (reach.samples_past, reach.samples_future) == (bounded.samples_past, bounded.samples_future)


class LookingBack(Encoder):
    """Layers that no list knows: a learnt mix of each sample and the one three before."""

    def __init__(self):
        super().__init__()
        self.dimension, self.channels, self.strides, self.hop_length = 2, 1, [2], 2
        self.mix = nn.Bilinear(1, 1, 2)

    def forward(self, audio):
        late, early = audio[..., ::2], nn.functional.pad(audio, (3, 0))[..., : audio.shape[-1]][..., ::2]
        return self.mix(late.transpose(1, 2).contiguous(), early.transpose(1, 2).contiguous()).transpose(1, 2)


def test_unknown_layers_are_measured_as_they_are():
    encoder = LookingBack()
    reach = receptive_field(encoder)
    assert (reach.samples_past, reach.samples_future, reach.unbounded) == (3, 0, False)
    assert encoder.training


def test_a_whole_codec_adds_encoder_and_decoder(codec):
    whole, first, second = receptive_field(codec), receptive_field(codec.encoder), receptive_field(codec.decoder)
    assert whole.samples_past == first.samples_past + second.samples_past
    assert whole.samples_future == first.samples_future + second.samples_future
    assert whole.unbounded == (first.unbounded or second.unbounded)
