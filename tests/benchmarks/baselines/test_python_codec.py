"""Codecs in a Python file: their rate by hand, several frame rates, and what is said of files that are none."""

from pathlib import Path

import pytest
import torch

from codeclab.benchmarks.baselines import evaluate_baseline, make_baseline
from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.baselines.columns import token_columns
from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.clip import Clip

SNAC_SHAPED = """
import torch
from torch import nn
sample_rate, codebook_sizes = 1600, [16, 16, 16]
model = nn.Linear(3, 2)
strides = (80, 40, 20)
def encode(audio):
    padded = nn.functional.pad(audio[None], (0, -audio.shape[1] % 80))
    rest, codes = padded, []
    for stride in strides:
        means = nn.functional.avg_pool1d(rest, stride).clamp(-0.99, 0.99)
        codes.append(((means + 1) * 8).floor().long()[:, 0])
        rest = (rest - ((codes[-1] + 0.5) / 8 - 1)[:, None].repeat_interleave(stride, dim=2))
    return codes
def decode(codes):
    parts = [((c + 0.5) / 8 - 1).repeat_interleave(stride, dim=1) for c, stride in zip(codes, strides)]
    return sum(parts)[:, None]
"""

RATES = """
import torch
name = "Rounded"
sample_rate, codebook_sizes, channels, decoded_rate, parameters = 800, [256] * 2, 2, 400, 7
bitrates = [6.4, 12.8]
def encode(audio, bitrate):
    levels = ((audio.clamp(-1, 1) + 1) * 127.5).round().long()
    return levels if bitrate > 7 else levels[:1]
def decode(codes):
    return (codes / 127.5 - 1).expand(2, -1)[:, ::2]
"""

PACKED = """
import zlib, numpy as np
sample_rate, bitrates = 800, [4]
def encode(audio):
    return zlib.compress((audio[0].numpy() * 127).astype("int8").tobytes())
def decode(content):
    return np.frombuffer(zlib.decompress(content), "int8") / 127
"""


def made(folder: Path, text: str, name: str = "mine.py") -> TokenCodec:
    (folder / name).write_text(text)
    codec = make_baseline(named_codec(str(folder / name)) or {})
    assert isinstance(codec, TokenCodec)
    return codec


def test_several_frame_rates(tmp_path: Path) -> None:
    codec = made(tmp_path, SNAC_SHAPED)
    # 20, 40 and 80 frames a second of 4 bits.
    assert codec.bitrates == [0.56]
    assert (codec.name, codec.parameters()) == ("mine", 3 * 2 + 2)
    clip = Clip("a", "speech", 0.5 * torch.sin(2 * torch.pi * 3 * torch.arange(1640) / 1600)[None], 1600)
    evaluation = evaluate_baseline(codec, [clip], None, ["si_sdr", "bitrate_efficiency"])
    # 1640 samples are 21 frames of 80: 21, 42 and 84 codes.
    assert evaluation.info["bitrates_kbps"] == [pytest.approx(147 * 4 / (1640 / 1600) / 1000)]
    assert list(evaluation.codebooks.query("domain == 'all'")["codebook"]) == ["1", "2", "3", "all"]
    assert evaluation.per_file["si_sdr"][0] > 10
    assert evaluation.info["parameters"] == 8
    columns = token_columns(codec, 0.56)
    assert set(columns) == {"rtf_encoder", "rtf_decoder", "n_codebooks"}
    assert columns["n_codebooks"] == 3


def test_bitrates_channels_and_another_rate_of_the_decoder(tmp_path: Path) -> None:
    codec = made(tmp_path, RATES)
    assert (codec.name, codec.parameters(), codec.bitrates) == ("Rounded", 7, [6.4, 12.8])
    time = torch.arange(800) / 800
    audio = 0.5 * torch.sin(2 * torch.pi * 50 * time).expand(2, -1)
    decoded, kbps, tokens = codec.code(audio, 800, 12.8)
    assert kbps == pytest.approx(2 * 8 * 800 / 1000)
    assert decoded.shape == audio.shape
    assert float((decoded - audio)[:, 100:-100].abs().max()) < 0.02
    assert codec.transcode(audio, 800, 6.4)[1] == pytest.approx(6.4)


def test_bytes_are_counted_as_they_are(tmp_path: Path) -> None:
    codec = made(tmp_path, PACKED)
    audio = torch.zeros(1, 800)
    decoded, kbps, tokens = codec.code(audio, 800, 4)
    assert kbps == 8 * len(tokens.content) / 1000
    assert torch.equal(decoded, audio)
    evaluation = evaluate_baseline(codec, [Clip("a", "x", audio + 0.1, 800)], None, ["si_sdr", "codebook_usage"])
    assert evaluation.codebooks.empty
    assert evaluation.info["parameters"] is None


GOOD = "sample_rate, codebook_sizes = 800, [4]\ndef decode(codes):\n    return codes.float()\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD, "has no function encode; write it, as in: sample_rate = 24000"),
        ("def encode(audio): ...\ndef decode(codes): ...\n", "has no sample_rate .in Hz.; set it"),
        (GOOD + "sample_rate = 8.5\ndef encode(audio): ...\n", "sample_rate of .* is 8.5; it should be a whole number"),
        (GOOD + "def encode(audio, bitrate): ...\n", "so `bitrates` should list those it offers"),
        (GOOD + "bitrates = [1, 2]\ndef encode(audio): ...\n", "lists 2 bitrates, but its encode takes no bitrate"),
        ("1 / 0\n", "fails: ZeroDivisionError: division by zero"),
        (
            "codebook_sizes = [0]\nsample_rate = 8\ndef encode(a): ...\ndef decode(a): ...\n",
            "number of entries above 0",
        ),
    ],
)
def test_a_file_that_is_no_codec(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("audio", "gave a Tensor torch.float32 .* for a codebook; it should be whole numbers"),
        ("'codes'", "gave a str; it should give whole numbers"),
        ("(audio[:1] * 0).long() + 4", "codes outside 0 to 3"),
        ("(audio.expand(2, -1) * 0).long()", "codes of 2 codebooks and codebook_sizes has 1"),
    ],
)
def test_codes_that_are_none(tmp_path: Path, given: str, message: str) -> None:
    codec = made(tmp_path, GOOD + f"bitrates = [1]\ndef encode(audio):\n    return {given}\n")
    with pytest.raises(ValueError, match=message):
        codec.code(torch.zeros(1, 80), 800, 1)


@pytest.mark.parametrize(
    ("channels", "shape"), [(1, [2, 40]), (1, [2, 1, 40]), (2, [80]), (2, [1, 40]), (2, [2, 2, 20]), (1, [0])]
)
def test_audio_of_other_channels_is_refused(tmp_path: Path, channels: int, shape: list[int]) -> None:
    text = (
        f"import torch\nsample_rate, channels, codebook_sizes = 800, {channels}, [2]\n"
        f"encode, decode = lambda audio: torch.zeros(1, 40).long(), lambda codes: torch.zeros({shape})"
    )
    codec = made(tmp_path, text)
    with pytest.raises(RuntimeError, match=rf"gave \[.*it should be \[{channels}, M\] samples"):
        codec.transcode(torch.zeros(channels, 40), 800, codec.bitrates[0])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match="imports no_such_package, which is not installed"):
        made(tmp_path, "import no_such_package\n")
    with pytest.raises(ValueError, match="is not a Python file"):
        make_baseline({"part": "PythonCodec", "file": str(tmp_path / "none.py")})
    codec = made(tmp_path, GOOD + "channels = 2\nbitrates = [1]\ndef encode(audio):\n    return audio[:1].long()\n")
    with pytest.raises(RuntimeError, match=r"decode of .* gave \[1, 80\]; it should be \[2, M\] samples"):
        codec.code(torch.zeros(2, 80), 800, 1)
