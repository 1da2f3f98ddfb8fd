"""``.ecdc`` files of the ``encodec`` package through the commands, with its language model's weights."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.ecdc import read_ecdc
from codeclab.codecs.entropy.ecdc_files import REPLACED, published_name, released_language_model
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.io.folder import identity
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.cli.code_files import run
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}


def released_tensors(model: LanguageModel) -> dict[str, torch.Tensor]:
    """A state dict under the names of the package's ``LMModel``."""
    result = {}
    for name, tensor in model.state_dict().items():
        for theirs, ours in reversed(REPLACED):
            name = name.replace(ours, theirs) if name.startswith(ours) or not ours.endswith("s.") else name
        result[name] = tensor
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    Codec(*parts, sample_rate=24000, bitrates=[12.0, 36.0]).save(tmp_path / "encodec_24khz")
    model = LanguageModel(3, 16, dimension=16, n_layers=2, n_heads=8, feedforward=32, context=10500)
    torch.save(released_tensors(model), tmp_path / "encodec_lm_24khz-0.th")
    sound = 0.1 * np.random.default_rng(0).standard_normal(3001).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 24000, "FLOAT")
    return tmp_path


@pytest.mark.parametrize("entropy", ["none", "lm"])
def test_there_and_back_as_the_library(folder, capsys, entropy):
    words = ["--codec", str(folder / "encodec_24khz"), "--language-model", str(folder / "encodec_lm_24khz-0.th")]
    coded = [str(folder / "a.wav"), str(folder / "a.ecdc"), *words, "--bitrate", "12", "--entropy", entropy]
    assert run("encode", coded) == 0
    assert run("decode", [str(folder / "a.ecdc"), str(folder / "b.wav"), *words]) == 0
    assert capsys.readouterr().err == ""
    assert (folder / "a.ecdc").read_bytes().startswith(b"ECDC\x00")
    assert b'"m": "encodec_24khz", "al": 3001, "nc": 1' in (folder / "a.ecdc").read_bytes()
    codec = Codec.from_pretrained(folder / "encodec_24khz")
    model = released_language_model(folder / "encodec_lm_24khz-0.th", codec)
    codes = read_ecdc(folder / "a.ecdc", codec, model, "encodec_24khz")
    whole = codec.encode(folder / "a.wav", bitrate=12.0)
    assert torch.equal(codes.codes, whole.codes)
    decoded, _ = soundfile.read(folder / "b.wav", dtype="float32")
    np.testing.assert_allclose(decoded, codec.decode(whole)[0, 0], atol=1.1 / 32768)


def test_a_folder_of_them_and_what_is_wrong(folder, capsys):
    words = ["--codec", str(folder / "encodec_24khz")]
    (folder / "in").mkdir()
    (folder / "a.wav").rename(folder / "in" / "a.wav")
    assert run("encode", [str(folder / "in"), str(folder / "out"), *words, "--format", "ecdc", "--jobs", "1"]) == 0
    assert run("decode", [str(folder / "out"), str(folder / "back"), *words, "--jobs", "1"]) == 0
    assert (folder / "back" / "a.wav").is_file()
    capsys.readouterr()
    coded = [str(folder / "in" / "a.wav"), str(folder / "c.ecdc"), *words]
    assert run("encode", [*coded, "--entropy", "lm"]) == 2
    assert "no entropy coder 'lm'" in capsys.readouterr().err
    given = ["--language-model", str(folder / "encodec_lm_24khz-0.th")]
    assert run("encode", [coded[0], str(folder / "c.clc"), *words, *given, "--entropy", "lm"]) == 1
    assert "codes .ecdc files alone" in capsys.readouterr().err
    torch.save({"a": torch.zeros(1)}, folder / "no.th")
    assert run("encode", [*coded, "--language-model", str(folder / "no.th"), "--entropy", "lm"]) == 2
    assert "no.th is not a language model of the encodec package" in capsys.readouterr().err


def test_only_what_was_published_has_the_packages_name():
    torch.manual_seed(0)
    codec = Codec(SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=24000)
    assert published_name("facebook/encodec_24khz", codec) == "encodec_24khz"
    assert published_name("weights/encodec_24khz-d7cc33bc.th", codec) == "encodec_24khz"
    assert published_name("encodec_48khz", codec) is None
    assert published_name("runs/mine", codec) is None
    assert identity(codec).startswith("v1-")
