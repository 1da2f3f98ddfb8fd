"""``codeclab export`` as typed: codecs for this package and for transformers, and folders that are not written over."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DacModel, EncodecModel

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_folder import FittedModel, save_fitted
from codeclab.codecs.io.folder import identity
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

Export = Callable[..., tuple[int, str, str]]


@pytest.fixture
def export(run_command: Export) -> Export:
    """``export(words)``: the command typed in an empty folder; status, stdout and stderr."""
    return partial(run_command, "export")


def untrained(recipe: str) -> Codec:
    """A recipe's codec as small as the scale `mini`'s, with codebooks among what they code."""
    codec = Codec.from_recipe(recipe, "mini").eval()
    with torch.no_grad():
        spread = codec.encoder(torch.randn(1, 1, 6400)).std()
        for name, buffer in codec.named_buffers():
            if name.endswith("entries"):
                buffer.normal_(0, float(spread))
    return codec


def small() -> Codec:
    """An untrained EnCodec of next to no size."""
    shape = {"dimension": 4, "n_filters": 2, "strides": [2, 4], "lstm_layers": 1}
    return Codec(SEANetEncoder(**shape), ResidualVQ(4, 2, 8), SEANetDecoder(**shape), 800).eval()


def test_a_small_encodec_for_transformers(export: Export) -> None:
    codec = untrained("encodec_24khz")
    codec.save("runs/mine/codec")
    status, out, err = export("runs/mine", "out", "--format", "transformers")
    assert (status, err) == (0, "")
    assert out == (
        "out: 24000 Hz, mono, 1.5, 3, 6, 12, 24 kbps, for transformers\n"
        'to load it: transformers.EncodecModel.from_pretrained("out")\n'
    )
    model = EncodecModel.from_pretrained("out").eval()
    audio = 0.1 * torch.randn(1, 1, 4001)
    for rate in codec.bitrates:
        codes = codec.encode(audio, rate)
        with torch.no_grad():
            theirs = model.encode(audio, bandwidth=rate).audio_codes
            decoded = model.decode(theirs, [None])[0][..., :4001]
        assert torch.equal(theirs[0], codes.codes)
        torch.testing.assert_close(decoded, codec.decode(codes), rtol=0, atol=1e-4)
    assert len(codes.codes.unique()) > 50


def test_a_small_dac_for_transformers_again_and_again(export: Export) -> None:
    codec = untrained("dac_44khz")
    codec.save("mine")
    for _ in range(2):
        status, out, _ = export("mine", "out", "--format", "transformers")
        assert status == 0
        assert 'transformers.DacModel.from_pretrained("out")' in out
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    audio = 0.1 * torch.randn(1, 1, 20 * 512)
    with torch.no_grad():
        theirs = DacModel.from_pretrained("out").eval().encode(audio).audio_codes
    assert torch.equal(theirs, codec.encode(audio).codes)


def test_for_this_package_and_from_transformers_back(export: Export) -> None:
    codec = small()
    codec.save("mine")
    assert export("mine", "ours")[1].endswith('to load it: codeclab.Codec.from_pretrained("ours")\n')
    assert identity(Codec.from_pretrained("ours")) == identity(codec)
    assert export("mine", "theirs", "--format", "transformers")[0] == 0
    assert export("theirs", "back")[0] == 0
    audio = 0.1 * torch.randn(1, 1, 800)
    assert torch.equal(Codec.from_pretrained("back").encode(audio).codes, codec.encode(audio).codes)


def test_other_files_are_not_written_over_unasked(export: Export) -> None:
    small().save("mine")
    Path("notes").mkdir()
    Path("notes/diary.txt").write_text("dear diary")
    Path("file").touch()
    export("mine", "theirs", "--format", "transformers")
    before = Path("theirs/config.json").read_bytes()
    for directory, answer in {
        "notes": "notes is not empty and no earlier export for codeclab (it holds diary.txt); give a new folder",
        "theirs": "theirs is not empty and no earlier export for codeclab",
        "file": f"file should be a folder, but {Path('file').absolute()} is a file",
        "mine": "mine is the codec itself; give another folder",
    }.items():
        status, out, err = export("mine", directory)
        assert (status, out) == (2, "")
        assert err.startswith(f"codeclab export: {answer}")
        assert len(err.splitlines()) == 1
    assert Path("theirs/config.json").read_bytes() == before
    assert export("mine", "mine", "--format", "transformers", "--overwrite")[0] == 2
    assert [path.name for path in Path("notes").iterdir()] == ["diary.txt"]
    for directory, held in {"notes": ["config.json", "diary.txt"], "theirs": ["config.json"]}.items():
        assert export("mine", directory, "--overwrite")[0] == 0
        assert sorted(path.name for path in Path(directory).iterdir()) == [*held, "model.safetensors"]


def test_what_cannot_be_exported_is_answered_in_a_line_and_nothing_is_made(export: Export) -> None:
    codec = small()
    codec.normalize = True
    codec.decoder.final_activation = "tanh"
    codec.save("mine")
    for words, answer in {
        (
            "mine",
            "out",
            "--format",
            "transformers",
        ): "final_activation is tanh; transformers does not support this; supported: final_activation none",
        ("nothing", "out"): "there is no nothing; the working directory holds: ",
        ("mine", "out", "--import", "my_parts.py"): "--import my_parts.py",
    }.items():
        status, out, err = export(*words)
        assert (status, out) == (2, "")
        assert err.startswith("codeclab export: ")
        assert answer in err
        assert len(err.splitlines()) == 1
        assert not Path("out").exists()


@pytest.mark.parametrize("half", [False, True])
def test_its_language_model_goes_along(export: Export, half: bool) -> None:
    codec = small()
    codec.save("runs/mine/codec")
    model = LanguageModel(2, 8, dimension=8, n_layers=1, n_heads=2, feedforward=8, context=4).eval()
    save_fitted(FittedModel(model, np.ones((2, 8), dtype=np.int64)), Path("runs/mine/language_model"), codec)
    status, out, _ = export("runs/mine", "ours", *["--half"] * half)
    assert status == 0
    assert "with its language model, for `codeclab encode --codec ours --entropy lm`\n" in out
    taken = Codec.from_pretrained("ours")
    codes = taken.encode(0.1 * torch.randn(1, 1, 800)).codes[0].numpy()
    coder = Coders.beside(taken, "ours").named("lm")
    assert np.array_equal(coder.decode(coder.encode(codes), *codes.shape), codes)
    # Another codec in the same folder has none, and the former codec's does not prevent it from loading.
    Codec.from_pretrained("runs/mine").save("plain")
    assert export("plain", "ours")[0] == 0
    assert Coders.beside(Codec.from_pretrained("ours"), "ours").names == ["none"]
