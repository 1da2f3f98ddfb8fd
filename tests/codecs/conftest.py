"""Small codecs that the tests of this folder share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io.encodec import encodec_tensors
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.spectral import SpectralEncoder
from codeclab.codecs.vocos import VocosDecoder
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ

SEANET = {"dimension": 8, "n_filters": 4, "strides": [2, 4]}
PAIRS: dict[str, Callable[[], tuple[Encoder, Decoder]]] = {
    "seanet": lambda: (SEANetEncoder(**SEANET), SEANetDecoder(**SEANET)),
    "seanet-centred": lambda: (
        SEANetEncoder(**SEANET, channels=2, causal=False, norm="time_group_norm"),
        SEANetDecoder(**SEANET, channels=2, causal=False, norm="time_group_norm"),
    ),
    "seanet-plain": lambda: (
        SEANetEncoder(**SEANET, lstm_layers=0, norm="none", n_residual_layers=3, true_skip=True, pad_mode="constant"),
        SEANetDecoder(
            **SEANET,
            lstm_layers=0,
            norm="none",
            n_residual_layers=3,
            true_skip=True,
            trim_right_ratio=0.5,
            final_activation="tanh",
        ),
    ),
    "dac": lambda: (
        DACEncoder(n_filters=4, strides=[2, 4]),
        DACDecoder(dimension=16, n_filters=16, strides=[2, 4]),
    ),
    "dac-odd": lambda: (
        DACEncoder(n_filters=4, strides=[2, 3], dimension=8, channels=2),
        DACDecoder(dimension=8, n_filters=16, strides=[2, 3], channels=2, activation="leaky_relu"),
    ),
}

SPECTRAL = {"dimension": 6, "n_fft": 16, "width": 8, "n_blocks": 2}
PAIRS |= {
    "vocos": lambda: (SpectralEncoder(**SPECTRAL, strides=[8]), VocosDecoder(**SPECTRAL, strides=[8])),
    "vocos-two-rates": lambda: (
        SpectralEncoder(**SPECTRAL, strides=[4, 3], hop=4, channels=2),
        VocosDecoder(**SPECTRAL, strides=[4, 3], hop=4, channels=2),
    ),
    "vocos-causal": lambda: (
        SpectralEncoder(**SPECTRAL, strides=[4, 3], hop=4, causal=True),
        VocosDecoder(**SPECTRAL, strides=[4, 3], hop=4, causal=True),
    ),
}


@pytest.fixture(params=list(PAIRS))
def pair(request: pytest.FixtureRequest) -> tuple[Encoder, Decoder]:
    """An encoder and a decoder of each kind, small and untrained."""
    torch.manual_seed(0)
    encoder, decoder = PAIRS[request.param]()
    return encoder.eval(), decoder.eval()


def quantizer_for(encoder: Encoder) -> ResidualVQ | FactorizedVQ:
    torch.manual_seed(1)
    if isinstance(encoder, DACEncoder):
        return FactorizedVQ(encoder.dimension, n_codebooks=3, codebook_size=16, codebook_dim=[2, 4, 3])
    return ResidualVQ(encoder.dimension, n_codebooks=3, codebook_size=16)


@pytest.fixture
def released_codec() -> Callable[..., Codec]:
    """``released_codec(config, encoder, decoder, tensors)``: a golden EnCodec with its parameters, ready to code."""

    def built(config: dict[str, Any], encoder: Encoder, decoder: Decoder, tensors: dict[str, Tensor]) -> Codec:
        codec = Codec(
            encoder,
            ResidualVQ(config["dimension"], config["n_q"], config["bins"]),
            decoder,
            config["sample_rate"],
            bitrates=config["target_bandwidths"],
            segment=config["segment_seconds"],
            overlap=config["overlap"],
            normalize=config["normalize"],
        ).eval()
        own = {name.removeprefix("param."): t for name, t in tensors.items() if name.startswith("param.")}
        codec.load_state_dict(encodec_tensors(own))
        return codec

    return built


@pytest.fixture
def codec(pair: tuple[Encoder, Decoder]) -> Codec:
    """A codec of each kind of encoder and decoder; the centred one cuts and normalizes."""
    encoder, decoder = pair
    centred = isinstance(encoder, SEANetEncoder) and not encoder.causal
    cut = {"segment": 0.1, "overlap": 0.1, "normalize": True} if centred else {}
    return Codec(encoder, quantizer_for(encoder), decoder, sample_rate=1000, **cut).eval()
