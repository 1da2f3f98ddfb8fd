"""``codeclab export --format torch-export|onnx|openvino`` and ``--engine`` as typed."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import soundfile
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.formats import PACKAGES, load_graph
from codeclab.codecs.engines.names import GRAPHS, exported_files
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.base import ABSENT, Quantizer
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ

Command = Callable[..., tuple[int, str, str]]


def small(quantizer: Quantizer | None = None, **settings: object) -> Codec:
    torch.manual_seed(0)
    shape = {"dimension": 4, "n_filters": 2, "strides": [4], "lstm_layers": 1}
    quantizer = ResidualVQ(4, 2, 8) if quantizer is None else quantizer
    return Codec(SEANetEncoder(**shape), quantizer, SEANetDecoder(**shape), 800, **settings).eval()


def needs(packages: tuple[str, ...]) -> None:
    if missing := [package for package in packages if find_spec(package) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (the extra `engines`)")


@pytest.mark.parametrize("form", PACKAGES)
def test_graphs_code_as_the_codec_at_every_bitrate(run_command: Command, form: str) -> None:
    needs(PACKAGES[form])
    codec = small()
    codec.save("runs/mine/codec")
    status, out, err = run_command("export", "runs/mine", "out", "--format", form)
    assert (status, err) == (0, "")
    first, equal, speed, load = out.splitlines()
    assert first == f"out: 800 Hz, mono, 0.6, 1.2 kbps, for {form}"
    assert "% of 1,006 codes are codeclab's; audio decoded from the same codes differs by at most" in equal
    assert "times real time (codeclab itself: " in speed
    assert "out/encoder." in load
    assert {path.name for path in Path("out").iterdir()} == set(exported_files(form))
    config = json.loads(Path("out/config.json").read_text())
    assert config["graph_format"] == form
    assert [config[key] for key in ("sample_rate", "hop_length", "absent")] == [800, 4, ABSENT]
    assert [rate["n_codebooks"] for rate in config["bitrates"]] == [1, 2]

    encode, quantize, dequantize, decode = (load_graph(form, Path("out") / graph, 1) for graph in GRAPHS)
    audio = 0.1 * torch.randn(2, 1, 333)
    with torch.no_grad():
        codes = quantize(encode(audio))
        for rate in config["bitrates"]:
            used = codes[:, : rate["n_codebooks"]]
            own = codec.encode(audio, n_codebooks=rate["n_codebooks"])
            assert (used == own.codes).float().mean() > 0.98
            filled = torch.nn.functional.pad(own.codes, (0, 0, 0, 2 - rate["n_codebooks"]), value=ABSENT)
            result = decode(dequantize(filled))[..., :333]
            torch.testing.assert_close(result, codec.decode(own), rtol=0, atol=1e-5)


def test_graphs_that_differ_are_not_written(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save("mine")
    monkeypatch.setattr("codeclab.codecs.engines.check.pushed_whole", lambda part, x: 1.1 * part(x))
    status, out, err = run_command("export", "mine", "out", "--format", "torch-export")
    assert (status, out) == (2, "")
    assert err.startswith("codeclab export: the graphs do not compute what the codec does: ")
    assert err.endswith("of it would be right. Nothing was written\n")
    assert not Path("out").exists()


def test_an_obstacle_is_reported_in_one_line(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save("mine")
    small(GumbelSoftmax(4, 2, 8)).save("random")
    monkeypatch.setattr("codeclab.codecs.engines.formats.find_spec", lambda package: None)
    soundfile.write("a.wav", torch.zeros(800).numpy(), 800)
    for words, answer in {
        ("export", "mine", "out", "--format", "onnx"): "onnx needs onnx and onnxscript and onnxruntime: pip install",
        ("export", "random", "out", "--format", "torch-export"): "at random, as GumbelSoftmax does; use choice",
        ("export", "mine", "out", "--format", "torch-export", "--half"): "--half is for codeclab's own format",
        ("encode", "a.wav", "a.clc", "--codec", "mine", "--engine", "openvino"): "openvino needs onnx and onnxscript",
        ("encode", "a.wav", "a.clc", "--codec", "mine", "--engine", "openvino", "--precision", "bf16"): "float32",
    }.items():
        status, out, err = run_command(*words)
        assert (status, out) == (2, ""), words
        assert answer in err.splitlines()[-1], words
        assert not Path("out").exists()
        assert not Path("a.clc").exists()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_files_by_an_engine(run_command: Command, engine: str) -> None:
    needs(("onnx", "onnxscript", engine))
    small(segment=0.5).save("mine")
    sound = 0.1 * torch.randn(1900, generator=torch.Generator().manual_seed(0))
    soundfile.write("a.wav", sound.numpy(), 800)
    words = ("--codec", "mine", "--jobs", "1")
    assert run_command("reconstruct", "a.wav", "own.wav", *words)[0] == 0
    assert run_command("reconstruct", "a.wav", "by.wav", *words, "--engine", engine)[0] == 0
    own, by = (torch.from_numpy(soundfile.read(name, dtype="float32")[0]) for name in ("own.wav", "by.wav"))
    assert own.shape == by.shape == (1900,)
    assert (own - by).square().mean() < 1e-3 * own.square().mean()
