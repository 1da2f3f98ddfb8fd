"""The language model in whole numbers: equal in steps and at once, near the one in floating point, and a coder."""

import numpy as np
import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import FOLDER, Coders
from codeclab.codecs.entropy.coders import TOTAL
from codeclab.codecs.entropy.container_reader import read_container
from codeclab.codecs.entropy.container_writer import write_container
from codeclab.codecs.entropy.integer_model import IntegerLanguageModel
from codeclab.codecs.entropy.language_model import LanguageModel, shifted
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.entropy.model_folder import CONFIG, FittedModel, load_fitted, save_fitted
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ


def made(seed=0, context=20):
    """A model whose predictions are far from even."""
    torch.manual_seed(seed)
    model = LanguageModel(3, 16, dimension=16, n_layers=2, n_heads=2, feedforward=32, context=context).eval()
    with torch.no_grad():
        for output in model.outputs:
            output.weight.mul_(4)
    return model


def drawn(steps):
    return torch.randint(0, 16, (1, 3, steps), generator=torch.Generator().manual_seed(1))


def test_steps_one_by_one_and_together_give_the_same_whole_numbers():
    model, previous = IntegerLanguageModel(made()), shifted(drawn(300)).numpy()
    together = model.frequencies(previous, model.start())
    assert (together.sum(-1) == TOTAL).all()
    assert together.min() >= 1
    for size in (1, 7, 150):
        state, parts = model.start(), []
        for first in range(0, 300, size):
            parts.append(model.frequencies(previous[..., first : first + size], state))
            assert all(cache.steps <= 20 for cache in state.caches)
        assert np.array_equal(np.concatenate(parts, axis=1), together)


def test_it_expects_what_the_model_in_floating_point_does():
    model, previous = made(), shifted(drawn(300))
    with torch.no_grad():
        expected = model.probabilities(previous)[0][0].permute(2, 1, 0).double().numpy()
    shares = IntegerLanguageModel(model).frequencies(previous.numpy(), IntegerLanguageModel(model).start())[0]
    assert expected.max() > 0.3
    lost = (expected * np.log2(expected * TOTAL / shares)).sum(-1).mean()
    assert 0 <= lost < 1e-3


def test_codes_there_and_back():
    coder, codes = ModelCoder(made()), drawn(90)[0].numpy()
    data = coder.encode(codes)
    assert np.array_equal(coder.decode(data, 3, 90), codes)
    assert 0 <= 8 * len(data) - coder.bits(codes) < 40
    assert np.array_equal(coder.decode(coder.encode(codes[:2]), 2, 90), codes[:2])
    with pytest.raises(ValueError, match="bytes|wrongly|early|damaged"):
        coder.decode(data + b"\x01", 3, 90)
    assert ModelCoder(made(1)).fingerprint != coder.fingerprint


def test_sequences_side_by_side_get_what_each_gets_alone():
    model = IntegerLanguageModel(made())
    previous = shifted(drawn(90).reshape(3, 3, 30)).numpy()
    state, parts = model.start(3), []
    for step in range(30):
        if step == 20:
            state.shorten(2)
        parts.append(model.frequencies(previous[: 3 if step < 20 else 2, :, step : step + 1], state))
    for index, steps in ((0, 30), (1, 30), (2, 20)):
        alone = model.frequencies(previous[index : index + 1, :, :steps], model.start())[0]
        assert np.array_equal(np.concatenate([part[index] for part in parts[:steps]]), alone)


def test_chunks_decoded_side_by_side_keep_order_and_damage_to_themselves():
    coder, codes = ModelCoder(made()), drawn(600)[0].numpy()
    lengths = [40, 3, 55, 1, 60, 40, 58, 40, 59, 40, 7]
    parts = np.split(codes, np.cumsum(lengths), axis=1)[:-1]
    chunks = [(coder.encode(part), part.shape[1]) for part in parts]
    chunks[2] = (chunks[2][0][:4], 55)
    chunks[5] = (chunks[5][0] + b"\1", 40)
    decoded = coder.decode_chunks(chunks, 3)
    assert "too early" in str(decoded[2])
    assert "follow" in str(decoded[5])
    for index, part in enumerate(parts):
        if index not in (2, 5):
            assert np.array_equal(decoded[index], part)
    assert coder.decode_chunks([], 3) == []


def test_a_fitted_model_is_saved_beside_its_codec_and_codes_its_files(tmp_path):
    torch.manual_seed(0)
    shape = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}
    codec = Codec(SEANetEncoder(**shape), ResidualVQ(4, 3, 16), SEANetDecoder(**shape), 800).eval()
    counts = np.tile(np.arange(16), (3, 1))
    save_fitted(FittedModel(made(), counts), tmp_path / FOLDER, codec)
    coders = Coders.beside(codec, tmp_path)
    assert coders.names == ["none", "static", "lm"]
    assert np.array_equal(load_fitted(tmp_path / FOLDER, codec).counts, counts)
    codes = codec.encode(torch.randn(1, 1, 999))
    for name in coders.names:
        write_container(tmp_path / "a.clc", codes, codec, coders.named(name))
        result, damage = read_container(tmp_path / "a.clc", codec, coders.of_header)
        assert damage == []
        assert torch.equal(result.codes, codes.codes)
    with pytest.raises(ValueError, match="need the entropy coder 'lm'; the codec has none here"):
        read_container(tmp_path / "a.clc", codec, Coders(codec).of_header)
    codec.sample_rate = 900
    with pytest.raises(ValueError, match="was fitted to another codec"):
        Coders.beside(codec, tmp_path)
    (tmp_path / FOLDER / CONFIG).write_text("{}")
    with pytest.raises(ValueError, match=r"language_model.json or .*safetensors lacks 'format_version'"):
        Coders.beside(codec, tmp_path)
