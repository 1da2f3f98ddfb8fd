"""Files of codes against those the released EnCodec wrote, and files that are no such files."""

import json
import struct

import pytest
import torch

from codeclab.codecs.codec import Codec, Codes
from codeclab.codecs.entropy.ecdc import read_ecdc, write_ecdc
from codeclab.codecs.entropy.ecdc_files import language_model_tensors
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.io.folder import identity
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

CASES = ["ecdc_24k_style", "ecdc_48k_style"]


class Recorded(LanguageModel):
    """Gives the probabilities that a case's file was coded by, segment after segment."""

    def record(self, segments):
        self.waiting = [list(segment.split(1, dim=3)) for segment in segments]
        return self

    def probabilities(self, previous, state=None):
        left = self.waiting.pop(0) if state is None else state
        assert left[0].shape[2] == previous.shape[1]
        return left[0], left[1:]


def group(tensors, prefix):
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def numbered(tensors, prefix):
    result = group(tensors, prefix)
    return [result[str(index)] for index in range(len(result))]


@pytest.fixture
def released(golden, released_codec):
    """``released(case)``: the codec, the language model, the tensors and the settings of a case."""
    return lambda case: _released(*golden(case), released_codec)


def _released(tensors, meta, released_codec):
    config = meta["config"]
    shape = {name: config[name] for name in ("channels", "dimension", "n_filters", "norm", "causal")}
    shape["strides"] = config["ratios"][::-1]
    codec = released_codec(config, SEANetEncoder(**shape), SEANetDecoder(**shape), tensors)
    sizes = config["language_model"]
    arguments = (config["n_q"], config["bins"], sizes["dim"], sizes["num_layers"], 8, 4 * sizes["dim"])
    model = Recorded(*arguments, context=sizes["past_context"]).eval()
    model.load_state_dict(language_model_tensors(group(tensors, "param_lm.")))
    return codec, model, tensors, config


@pytest.mark.parametrize("kind", ["raw", "lm"])
@pytest.mark.parametrize("case", CASES)
def test_released_files_are_read_and_written_to_the_byte(released, golden_file, tmp_path, case, kind):
    codec, model, tensors, config = released(case)
    file, name = golden_file(f"{case}.{kind}.ecdc"), config["model_name"]
    expected = numbered(tensors, "output.codes.")
    recorded = [] if kind == "raw" else numbered(tensors, "output.lm_probabilities.")
    codes = read_ecdc(file, codec, model.record(recorded) if recorded else None, name)
    assert len(codes.segments) == len(expected)
    assert all(torch.equal(ours, theirs.long()) for ours, theirs in zip(codes.segments, expected, strict=True))
    assert (codes.length, codes.bitrate) == (config["length"], pytest.approx(config["bandwidth"]))
    audio = tensors["output.decompressed"]
    worst = (codec.decode(codes)[0] - audio).abs().max()
    assert worst <= 1e-5 * audio.abs().max()
    write_ecdc(tmp_path / "again.ecdc", codes, codec, model.record(recorded) if recorded else None, name)
    assert (tmp_path / "again.ecdc").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_audio_is_coded_as_the_released_files_say(released, case):
    codec, _, tensors, config = released(case)
    codes = codec.encode(tensors["input.audio"][None], config["bandwidth"])
    expected = numbered(tensors, "output.codes.")
    assert all(torch.equal(ours, theirs.long()) for ours, theirs in zip(codes.segments, expected, strict=True))
    # Levels round differently in the last bit, so files made of audio may differ in it.
    for level, theirs in zip(codes.scales or [], numbered(tensors, "output.scale."), strict=True):
        torch.testing.assert_close(level.flatten(1), theirs, rtol=1e-6, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_our_language_model_predicts_as_the_released_one_and_codes_both_ways(released, tmp_path, case):
    codec, model, tensors, config = released(case)
    ours = LanguageModel.probabilities
    for codes, expected in zip(
        numbered(tensors, "output.codes."), numbered(tensors, "output.lm_probabilities."), strict=True
    ):
        state = None
        for step, right in enumerate(expected.split(1, dim=3)):
            previous = 1 + codes[:, :, step - 1 : step].long() if step else torch.zeros_like(codes[:, :, :1]).long()
            probabilities, state = ours(model, previous, state)
            torch.testing.assert_close(probabilities, right, rtol=0, atol=1e-5)
    own = LanguageModel(
        config["n_q"], config["bins"], model.dimension, len(model.layers), 8, 4 * model.dimension, model.context
    )
    own.load_state_dict(model.state_dict())
    codes = codec.encode(tensors["input.audio"][None])
    write_ecdc(tmp_path / "own.ecdc", codes, codec, own)
    again = read_ecdc(tmp_path / "own.ecdc", codec, own)
    assert all(torch.equal(a, b) for a, b in zip(again.segments, codes.segments, strict=True))


def test_every_kind_of_codec_writes_and_reads_its_codes(codec, tmp_path):
    sizes = codec.quantizer.codebook_sizes
    model = LanguageModel(len(sizes), sizes[0], dimension=8, n_layers=1, n_heads=2, feedforward=16, context=5)
    for length, n_codebooks in ((1, 1), (123, 2), (150, None)):
        codes = codec.encode(torch.randn(1, codec.channels, length), n_codebooks=n_codebooks)
        for language_model in (None, model):
            write_ecdc(tmp_path / "own.ecdc", codes, codec, language_model)
            again = read_ecdc(str(tmp_path / "own.ecdc"), codec, language_model)
            assert (again.length, again.sample_rate) == (codes.length, codes.sample_rate)
            assert again.bitrate == codes.bitrate
            assert all(torch.equal(a, b) for a, b in zip(again.segments, codes.segments, strict=True))
            assert all(torch.equal(a, b) for a, b in zip(again.scales or [], codes.scales or [], strict=True))
    header = json.loads((tmp_path / "own.ecdc").read_bytes()[9:].split(b"}")[0] + b"}")
    assert header == {"m": identity(codec), "al": 150, "nc": len(sizes), "lm": True}


def tiny(segment=None):
    shape = {"dimension": 8, "n_filters": 2, "strides": [2, 4]}
    torch.manual_seed(0)
    parts = SEANetEncoder(**shape), ResidualVQ(8, n_codebooks=3, codebook_size=12), SEANetDecoder(**shape)
    return Codec(*parts, sample_rate=1000, segment=segment, normalize=segment is not None).eval()


def refused(path, data, codec, message, language_model=None):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        read_ecdc(path, codec, language_model, "tiny")
    assert str(error.value).startswith(f"{path} cannot be read: ")
    assert "\n" not in str(error.value)


def headed(header, rest=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">4sBI", b"ECDC", 0, len(text)) + text + rest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an .ecdc file"),
        (b"RIFF" + bytes(50), "not an .ecdc file"),
        (b"ECDC\x01" + bytes(50), "version 1"),
        (b"ECDC\x00\xff\xff\xff\xff{}", "4,294,967,295 bytes, more than"),
        (headed(b"{nonsense"), "not JSON"),
        (headed(b"\xff\xfe"), "not JSON"),
        (headed(b"[" * 4000), "not JSON"),
        (headed([1]), "should hold m"),
        (headed({"m": "tiny", "al": 80, "nc": True, "lm": False}), "should hold m"),
        (headed({"m": "tiny", "al": 80, "nc": 3}), "should hold m"),
        (headed({"m": "tiny", "al": 0, "nc": 3, "lm": False}), "0 samples"),
        (headed({"m": "other", "al": 80, "nc": 3, "lm": False}), "'other'; this codec is 'tiny'"),
        (headed({"m": "tiny", "al": 80, "nc": 4, "lm": False}), "this ResidualVQ has 1 to 3"),
        (headed({"m": "tiny", "al": 80, "nc": 3, "lm": True}), "language model, which is needed"),
        (headed({"m": "tiny", "al": 80, "nc": 3, "lm": False}, bytes(14)), "10 frames of a segment take 15 bytes"),
        (headed({"m": "tiny", "al": 80, "nc": 3, "lm": False}, bytes(16)), "1 byte follows the 80 samples"),
        (headed({"m": "tiny", "al": 80, "nc": 3, "lm": False}, b"\xff" * 15), "entries are 0 to at most 11"),
        (headed({"m": "tiny", "al": 8, "nc": 3, "lm": False}, b"\x00\xf0"), "last byte are set"),
        (headed({"m": "tiny", "al": 10**30, "nc": 3, "lm": False}, bytes(99)), "ends too early"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_line(tmp_path, data, message):
    refused(tmp_path / "wrong.ecdc", data, tiny(), message)


def test_sizes_in_a_header_make_no_memory(tmp_path):
    codec = tiny(segment=0.1)
    claimed = {"m": "tiny", "al": 10**18, "nc": 3, "lm": False}
    scale = struct.pack(">f", 0.5)
    refused(tmp_path / "big.ecdc", headed(claimed, (scale + bytes(20)) * 3), codec, "ends too early")
    for level in (0.0, -1.0, float("nan"), float("inf")):
        refused(tmp_path / "level.ecdc", headed(claimed, struct.pack(">f", level) + bytes(40)), codec, "positive")
    model = LanguageModel(3, 12, dimension=8, n_layers=1, n_heads=2, feedforward=16, context=5)
    lengthy = headed(claimed | {"lm": True}, bytes(40))
    refused(tmp_path / "big.ecdc", lengthy, tiny(), "the arithmetic code", model)


def test_every_cut_of_a_file_and_another_language_model_are_refused(tmp_path):
    codec = tiny(segment=0.1)
    codes = codec.encode(torch.randn(1, 1, 120))
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(LanguageModel(3, 12, dimension=8, n_layers=1, n_heads=2, feedforward=16, context=5))
    for model in (None, models[0]):
        write_ecdc(tmp_path / "whole.ecdc", codes, codec, model, "tiny")
        whole = (tmp_path / "whole.ecdc").read_bytes()
        for size in range(len(whole)):
            refused(tmp_path / "cut.ecdc", whole[:size], codec, ".", model)
        refused(tmp_path / "more.ecdc", whole + b"\x00", codec, "1 byte follows", model)
    refused(tmp_path / "other.ecdc", whole, codec, "other probabilities|too early", models[1])
    small = LanguageModel(2, 12, dimension=8, n_layers=1, n_heads=2, feedforward=16, context=5)
    refused(tmp_path / "other.ecdc", whole, codec, "for 2 codebooks of 12 entries; the codes are of 3 of", small)


def test_codes_that_are_not_the_codecs_are_not_written(tmp_path):
    codec, path = tiny(), tmp_path / "never.ecdc"
    right = codec.encode(torch.randn(1, 1, 80))

    def refuse(codes, message, **more):
        with pytest.raises(ValueError, match=message):
            write_ecdc(path, codes, codec, **more)
        assert not path.exists()

    refuse(codec.encode(torch.randn(2, 1, 80)), r"of shapes \[\[1, 3, 10\]\]")
    refuse(Codes(right.segments, None, 81, 1000, 1.0), "codes of 81 samples")
    refuse(Codes(right.segments, None, 80, 2000, 1.0), "are of 2000 Hz audio; this codec is for 1000 Hz")
    refuse(
        Codes(right.segments, [torch.ones(1, 1, 1)], 80, 1000, 1.0), "the codes have scales, but this codec does not"
    )
    refuse(Codes([], None, 80, 1000, 1.0), "n_codebooks is 0")
    refuse(Codes([right.codes - 20], None, 80, 1000, 1.0), "not an entry of its codebook")
    refuse(right, "the language model is for 3 codebooks of 5", language_model=LanguageModel(3, 5, 8, 1, 2, 16))
    refuse(right, "name makes a header", model="x" * 5000)
