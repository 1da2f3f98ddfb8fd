"""``.clc`` files coded by the language model, damaged without harm and read for ever; the identity of a codec."""

import copy
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy import container
from codeclab.codecs.entropy.container import ContainerError, parse_header
from codeclab.codecs.entropy.container_reader import ContainerReader
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

GOLDEN = Path(__file__).parents[2] / "golden"
SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}


def by_formula(model: LanguageModel) -> LanguageModel:
    """Weights that do not depend on anybody's random numbers."""
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            indices = torch.arange(parameter.numel(), dtype=torch.float64)
            wave = 0.5 * torch.sin(indices * 0.7 + index) + (1.0 if parameter.ndim == 1 and index % 2 else 0.0)
            parameter.copy_(wave.view(parameter.shape))
    return model.eval()


@pytest.fixture(scope="module")
def coder() -> ModelCoder:
    sizes = {"dimension": 8, "n_layers": 2, "n_heads": 2, "feedforward": 16, "context": 9}
    return ModelCoder(by_formula(LanguageModel(3, 16, **sizes)))


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(0)
    return Codec(SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=800).eval()


def codes_of(frames: int) -> Codes:
    """Codes by a formula, too."""
    rows = [[(k * 5 + t * (k + 1) * 3 + t * t // 7) % 16 for t in range(frames)] for k in range(3)]
    return Codes([torch.tensor([rows])], None, frames * 8 - 3, 800, 1.2)


def written(codec: Codec, coder: ModelCoder, frames: int) -> bytes:
    writer = ContainerWriter(codec, 3, coder, 12)
    return writer.push(codes_of(frames)) + writer.finish()


@pytest.mark.parametrize(("seed", "files"), [(0, 200), pytest.param(1, 1000, marks=pytest.mark.slow)])
def test_thousands_of_damaged_files_give_an_error_or_all_that_is_whole(codec, coder, seed, files):
    data, right = written(codec, coder, 60), codes_of(60).codes
    rng, refused = random.Random(seed), 0
    for index in range(files):
        other = bytearray(data)
        for _ in range(1 + index % 2):
            at, span = rng.randrange(len(other)), rng.randrange(1, 12)
            if index % 3 == 0:
                other[at] ^= 1 << rng.randrange(8)
            elif index % 3 == 1:
                del other[at : at + span]
            else:
                other[at:at] = rng.randbytes(span)
        reader = ContainerReader(codec, lambda header: coder)
        try:
            pieces = reader.feed(bytes(other)) + reader.finish()
        except ContainerError:
            refused += 1
            continue
        assert reader.damage or bytes(other) == data
        position = 0
        for piece in pieces:
            decoded = piece.codes.codes if piece.codes.segments else right[..., :0]
            if piece.damage is None:
                assert torch.equal(decoded, right[..., position : position + decoded.shape[-1]])
            position += decoded.shape[-1]
    assert refused < 0.4 * files


def test_wrong_bytes_with_a_right_checksum_are_an_error_and_no_hang(coder):
    rng = np.random.default_rng(0)
    for size in (0, 1, 30, 200):
        with pytest.raises(ValueError, match="arithmetic code|bytes follow"):
            coder.decode(rng.bytes(size), 3, 40)


def test_a_file_of_this_version_is_read_for_ever(codec, coder, monkeypatch):
    # Written by this package on 28 November 2026 on one x86-64 machine; see tests/golden/README.md.
    data = (GOLDEN / "container_v1_lm.clc").read_bytes()
    header, _ = parse_header(data)
    assert (header.coder, header.fingerprint) == (3, coder.fingerprint)
    monkeypatch.setattr("codeclab.codecs.entropy.container.identity_bytes", lambda codec: header.identity)
    reader = ContainerReader(codec, lambda header: coder)
    pieces = reader.feed(data) + reader.finish()
    assert reader.damage == []
    assert torch.equal(torch.cat([piece.codes.codes for piece in pieces], -1), codes_of(60).codes)


def test_frequencies_are_whole_numbers_whatever_the_pieces_and_threads(coder):
    codes = codes_of(50).codes[0].numpy()
    previous = np.pad(codes[:, :-1] + 1, ((0, 0), (1, 0)))[None]
    model = coder._model
    whole = model.frequencies(previous, model.start())
    assert whole.dtype == np.int64
    assert (whole.sum(-1) == 1 << 24).all()
    state, alone = model.start(), []
    for step in range(50):
        alone.append(model.frequencies(previous[..., step : step + 1], state))
        # Keys and values of the past are cached, so that the cost of a step does not grow with the number of earlier
        # steps.
        assert all(cache.steps <= model._layers[0].context for cache in state.caches)
    assert np.array_equal(np.concatenate(alone, axis=1), whole)
    assert math.isclose(coder.bits(codes), 8 * len(coder.encode(codes)), abs_tol=40)


def test_a_codec_that_changed_has_another_identity_and_is_hashed_once_until_then(codec, monkeypatch):
    codec, hashed = copy.deepcopy(codec), []
    real = container.identity
    monkeypatch.setattr(container, "identity", lambda codec: hashed.append(1) or real(codec))
    first = container.identity_bytes(codec)
    assert container.identity_bytes(codec) == first
    assert hashed == [1]
    with torch.no_grad():
        codec.quantizer.codebooks[0].entries.add_(1)
    assert container.identity_bytes(codec) != first
    codec.overlap = 0.5
    assert len({first, container.identity_bytes(codec), container.identity_bytes(codec)}) == 2
    assert len(hashed) == 3
