"""Codecs of next to no size, of every kind of layer that a graph has to hold."""

from collections.abc import Callable

import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.spectral import SpectralEncoder
from codeclab.codecs.vocos import VocosDecoder
from codeclab.quantizers.base import Quantizer
from codeclab.quantizers.residual_vq import ResidualVQ

RATE = 800
DIMENSION = 4
PARTS = {
    "seanet": (SEANetEncoder, SEANetDecoder, {"n_filters": 2, "strides": [2, 3], "lstm_layers": 1}),
    "centred": (SEANetEncoder, SEANetDecoder, {"n_filters": 2, "strides": [4], "lstm_layers": 0, "causal": False}),
    "stereo": (
        SEANetEncoder,
        SEANetDecoder,
        {"n_filters": 2, "strides": [4], "lstm_layers": 1, "causal": False, "channels": 2, "norm": "time_group_norm"},
    ),
    "dac": (DACEncoder, DACDecoder, {"n_filters": 4, "strides": [2, 3]}),
    "vocos": (
        SpectralEncoder,
        VocosDecoder,
        {"strides": [4, 2], "n_fft": 16, "hop": 4, "width": 8, "n_blocks": 2, "causal": True},
    ),
    "vocos_centred": (SpectralEncoder, VocosDecoder, {"strides": [4], "n_fft": 12, "width": 8, "n_blocks": 1}),
}
SETTINGS = {"stereo": {"segment": 0.5, "overlap": 0.1, "normalize": True}}


@pytest.fixture
def small() -> Callable[..., Codec]:
    """``small(kind, quantizer=None)``: an untrained codec of one of ``PARTS``."""

    def make(kind: str, quantizer: Quantizer | None = None) -> Codec:
        torch.manual_seed(0)
        encoder, decoder, sizes = PARTS[kind]
        quantizer = ResidualVQ(DIMENSION, 3, 16) if quantizer is None else quantizer
        parts = encoder(dimension=DIMENSION, **sizes), quantizer, decoder(dimension=DIMENSION, **sizes)
        return Codec(*parts, sample_rate=RATE, **SETTINGS.get(kind, {})).eval()

    return make
