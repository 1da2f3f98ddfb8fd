"""Coding in bfloat16 stays close to float32, keeps the quantizer out of it, and leaves training alone."""

import copy

import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.experiments.data.module import AudioData


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    clips = AudioData("recordings", sample_rate=16000, clip_seconds=3.0).clips("test")
    return torch.stack([clips[index].audio[:, :40000] for index in (0, 8)])


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_pretrained("box").eval()


def decibels(error: torch.Tensor, signal: torch.Tensor) -> float:
    return float(10 * torch.log10(error.square().mean() / signal.square().mean()))


def test_the_decoder_is_40_db_from_float32(codec: Codec, speech: torch.Tensor) -> None:
    codes = codec.encode(speech, bitrate=6)
    exact = codec.decode(codes)
    rough = copy.deepcopy(codec).to_bf16().decode(codes)
    assert rough.dtype == torch.float32
    assert -60 < decibels(rough - exact, exact) < -30


def test_first_codes_are_mostly_those_of_float32(codec: Codec, speech: torch.Tensor) -> None:
    exact = codec.encode(speech, bitrate=6).segments[0]
    rough = copy.deepcopy(codec).to_bf16().encode(speech, bitrate=6).segments[0]
    assert rough.dtype == torch.int64
    same = (rough == exact).float()
    assert float(same[:, 0].mean()) > 0.9
    assert 0.8 < float(same.mean()) < 1


def test_what_is_played_is_as_near_the_original(codec: Codec, speech: torch.Tensor) -> None:
    rough = copy.deepcopy(codec).to_bf16()
    errors = [decibels(one.decode(one.encode(speech, bitrate=6)) - speech, speech) for one in (codec, rough)]
    assert errors[1] == pytest.approx(errors[0], abs=0.1)


def test_a_stream_decodes_likewise() -> None:
    torch.manual_seed(0)
    codec = Codec.from_recipe("encodec_24khz", scale="laptop").eval()
    audio = 0.1 * torch.randn(1, 1, 4800)
    codes = codec.encode(audio)
    exact = codec.decode(codes)
    _, decoder = codec.to_bf16().stream()
    rough = torch.cat([decoder.push(codes), decoder.flush()], dim=-1)
    assert rough.dtype == torch.float32
    assert -70 < decibels(rough - exact, exact) < -30


def test_training_is_the_trainers(codec: Codec, speech: torch.Tensor) -> None:
    rough = copy.deepcopy(codec).to_bf16()
    with torch.no_grad():
        torch.testing.assert_close(rough(speech)[0], codec(speech)[0], rtol=0, atol=0)
