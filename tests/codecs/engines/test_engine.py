"""Engines instead of torch: windows give the result of the whole, and codes and audio equal the codec's."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines import engine as engine_module
from codeclab.codecs.engines.engine import GraphPart
from codeclab.codecs.engines.names import ENGINES
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.layers.streaming import layer_stream


def in_pieces(stream, whole, sizes):
    pieces = [stream.push(piece) for piece in whole.split(sizes, dim=-1)]
    return torch.cat([*pieces, stream.push(whole[..., :0], last=True)], dim=-1)


@pytest.mark.parametrize("kind", ["seanet", "centred", "dac", "vocos", "vocos_centred"])
def test_windows_give_what_the_whole_does(small, kind, monkeypatch) -> None:
    """Here torch itself is the engine: what is tested is how long inputs are cut."""
    monkeypatch.setattr(
        engine_module,
        "_run_of",
        lambda part, name: GraphPart(part, part, part(engine_module.example_input(part)).shape[1]),
    )
    codec = small(kind)
    with torch.no_grad():
        for part, given in ((codec.encoder, torch.randn(2, 1, 1003)), (codec.decoder, torch.randn(2, 4, 203))):
            parts = engine_module.engine_part(part, "onnxruntime")
            expected = part(given)
            torch.testing.assert_close(parts(given), expected, rtol=0, atol=1e-6)
            for sizes in (given.shape[-1], 400, 37):
                result = in_pieces(layer_stream(parts), given, sizes)
                torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_what_sees_everything_is_not_cut(small) -> None:
    codec = small("stereo")
    part = nn.Sequential(GraphPart(codec.encoder, codec.encoder, 4))
    with pytest.raises(NotStreamableError, match="SEANetEncoder needs a whole recording at once"):
        layer_stream(part)


def test_what_an_engine_cannot_do_is_said(small, monkeypatch) -> None:
    codec = small("dac")
    with pytest.raises(ValueError, match="no engine is called 'tensorrt'; there are: torch, onnxruntime, openvino"):
        codec.to_engine("tensorrt")
    with pytest.raises(ValueError, match="use --engine torch for bfloat16 and other devices"):
        small("dac").to_bf16().to_engine("openvino")
    monkeypatch.setattr("codeclab.codecs.engines.formats.find_spec", lambda package: None)
    with pytest.raises(
        ValueError, match=r"openvino needs onnx and onnxscript and openvino: pip install 'codeclab\[eng"
    ):
        codec.to_engine("openvino")


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kind", ["seanet", "stereo", "vocos"])
def test_codes_and_audio_are_the_codecs(small, name, kind, monkeypatch) -> None:
    missing = [package for package in ("onnx", "onnxscript", name) if find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (the extra `engines`)")
    monkeypatch.setattr("codeclab.codecs.blocks.MOST_SAMPLES", 1600)
    own, other = small(kind), small(kind).to_engine(name)
    with pytest.raises(ValueError, match="an engine runs this codec"):
        other.to_bf16()
    for length in (403, 5003):  # whole, and in blocks
        audio = 0.1 * torch.randn(2, own.channels, length)
        codes, other_codes = own.encode(audio), other.encode(audio)
        equal = [(a == b).float().mean() for a, b in zip(codes.segments, other_codes.segments, strict=True)]
        assert min(equal) > 0.98
        expected = own.decode(codes)
        torch.testing.assert_close(other.decode(codes), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_other_engines_are_left_for_torch(small) -> None:
    codec: Codec = small("dac")
    assert codec.end("encoder") is codec.encoder
    assert codec.end("decoder") is codec.decoder
