"""``codeclab speed`` times what it says, on the smallest codecs there are."""

import re
from pathlib import Path

import pytest
import torch

from codeclab.benchmarks.speed.inference import time_inference
from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.cli.speed import run
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ

TINY = [
    *("--config", "vocos_16khz", "--scale", "laptop", "--data", "synthetic", "--model.discriminators", "[]"),
    *("--data.seconds", "0.5", "--data.batch_size", "2", "--model.quantizer_start", "0"),
    *("--model.quantizer_start_frames", "0"),
]


def encodec() -> Codec:
    shape = {"dimension": 8, "n_filters": 2, "strides": [2, 4, 5, 8], "pad_mode": "reflect"}
    parts = SEANetEncoder(**shape), ResidualVQ(8, 4, 16), SEANetDecoder(**shape)
    return Codec(*parts, sample_rate=24000, bitrates=[0.6, 1.2]).eval()


def dac() -> Codec:
    encoder = DACEncoder(n_filters=4, strides=[2, 4], dimension=16)
    decoder = DACDecoder(dimension=16, n_filters=16, strides=[2, 4])
    parts = encoder, FactorizedVQ(16, 3, 16, codebook_dim=4), decoder
    return Codec(*parts, sample_rate=16000).eval()


@pytest.mark.parametrize("codec", [encodec, dac])
def test_inference_is_compared_with_transformers_where_that_has_the_parts(codec) -> None:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    made = codec()
    lines, notes = time_inference(made, seconds=1.0, repeats=1)
    assert notes == [], notes
    by_name = {line.name: line for line in lines}
    assert {"encode, transformers", "decode, transformers", "encode, bfloat16"} <= by_name.keys()
    assert by_name["encode, transformers"].ratio == 1.0
    assert by_name["decode, float32"].beside == by_name["decode, transformers"].seconds


def test_inference_without_a_peer_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    out = tmp_path / "speed.md"
    assert run("speed", ["inference", "--repeats", "1", "--length", "0.5", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert text == out.read_text()
    assert "| encode, float32 |" in text
    assert "matrix product, bfloat16" in text
    assert "transformers has no model of SpectralEncoder" in text
    assert torch.get_num_threads() == threads


def test_training_in_both_precisions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("speed", ["train", *TINY, "--runs", str(tmp_path), "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    for precision in ("32-true", "bf16-mixed"):
        (row,) = [line for line in text.splitlines() if line.startswith("| --config") and precision in line]
        middle, spread = row.split("|")[2:4]
        lowest, highest = spread.split(" to ")
        assert 0 < float(lowest) <= float(middle) <= float(highest)
        assert re.search(rf"\* what takes most of a batch in {precision}: [a-z ]+, \d+ %\n", text)
    assert "| matrix product, float32 |" in text or torch.cuda.is_available()
    assert not list(tmp_path.iterdir())


def test_training_says_which_batches_it_did_not_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    parts = '[{"class_path": "MSSTFTDiscriminator", "init_args": {"n_filters": 2, "n_ffts": [256]}}]'
    words = [*TINY, "--model.discriminators", parts, "--trainer.precision", "32-true", "--runs", str(tmp_path)]
    assert run("speed", ["train", *words, "--model.adversarial_start", "1000", "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    assert "discriminators join at batch 1,000: they have no part in this" in text
    assert "what takes most of a batch: " in text
    assert run("speed", ["train", *words, "--model.adversarial_start", "0", "--repeats", "1"]) == 0
    assert "discriminators join" not in capsys.readouterr().out
    late = ["--model.adversarial_start", "0", "--model.quantizer_start", "50", "--repeats", "1"]
    assert run("speed", ["train", *words, *late]) == 0
    assert "the quantizer joins at batch 50: it has no part in this" in capsys.readouterr().out


def test_reading_and_measuring(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("speed", ["data", *TINY, "--runs", str(tmp_path), "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    assert "| a batch, 0 workers |" in text
    assert "| copy of 64 MiB |" in text
    assert run("speed", ["metrics", "--metrics", "si_snr", "mel_distance", "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    assert "| si_snr |" in text
    assert "| mel_distance |" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inference", "--repeats", "0"], "--repeats and --threads should be 1 or more, and --length above 0"),
        (["inference", "--threads", "0"], "--repeats and --threads should be 1 or more, and --length above 0"),
        (["inference", "--config", "dac_44khz"], "speed inference takes no --config"),
        (["inference", "--codec", "nowhere"], "--codec nowhere: "),
        (["inference", "--recipe", "dac"], "no recipe 'dac'"),
        (["metrics", "--metrics", "si_srn"], "no metric si_srn (did you mean si_snr?); there are: "),
    ],
)
def test_what_is_wrong_is_said(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("speed", words) == 2
    assert message in capsys.readouterr().err
