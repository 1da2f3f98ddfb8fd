"""Other people's codecs as rows of a table and at ``codeclab evaluate``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from transformers import DacConfig, DacFeatureExtractor, DacModel

from codeclab.experiments.cli import main

EVERY_SECOND = """
import torch
sample_rate, codebook_sizes = 1600, [256]
model = torch.nn.Linear(3, 1)
def encode(audio):
    return ((audio[:, ::2].clamp(-1, 1) + 1) * 127.5).round().long()
def decode(codes):
    return (codes / 127.5 - 1).repeat_interleave(2, dim=-1)
"""


@pytest.fixture
def audio(tmp_path: Path) -> str:
    for domain, pitch in (("speech", 0.05), ("music", 0.02)):
        folder = tmp_path / "audio" / "test" / domain
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", 0.3 * np.sin(np.arange(1600) * pitch), 1600)
    return str(tmp_path / "audio")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(EVERY_SECOND)
    return str(tmp_path / "mine.py")


@pytest.fixture
def dac(tmp_path: Path) -> str:
    torch.manual_seed(0)
    small = {"encoder_hidden_size": 4, "decoder_hidden_size": 16, "downsampling_ratios": [2, 4], "n_codebooks": 2}
    DacModel(DacConfig(**small, codebook_size=16, codebook_dim=4, sampling_rate=1600)).save_pretrained(tmp_path / "dac")
    DacFeatureExtractor(sampling_rate=1600, hop_length=8).save_pretrained(tmp_path / "dac")
    return f"transformers:{tmp_path / 'dac'}"


def test_rows_of_a_table(
    audio: str, mine: str, dac: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    rows = [
        {"name": "Mine", "codec": mine},
        {"name": "DAC, small", "codec": dac},
        {"name": "Nobody's", "codec": f"transformers:{tmp_path / 'nothing'}"},
    ]
    columns = ["n_codebooks", "rtf_encoder", "rtf_decoder"]
    content = {"title": "T", "metrics": ["si_sdr", "codebook_usage"], "columns": columns, "sample_rate": 1600}
    table = tmp_path / "others.yaml"
    table.write_text(yaml.safe_dump({**content, "rows": rows}))
    command = ["table", str(table), "--data", audio, "--runs", str(tmp_path / "runs"), "--workers", "0", "--jobs", "1"]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 0, capsys.readouterr().err
    result = pd.read_csv(tmp_path / "runs" / "others-paper" / "table.csv").query("domain == 'all'")
    means = result.set_index(["row", "metric"])["mean"]
    kbps = result.groupby("row")["bitrate_kbps"].unique()
    assert kbps["Mine"] == pytest.approx([800 * 8 / 1000])
    assert kbps["DAC, small"] == pytest.approx([0.8, 1.6])
    assert means["Mine", "si_sdr"] > 20
    assert means["Mine", "n_codebooks"] == 1
    assert means["Mine", "rtf_encoder"] > 1
    text = (tmp_path / "runs" / "others-paper" / "table.md").read_text()
    assert "Nobody's is not here: " in text
    assert "| Parameters |" in text
    assert "hf download" in text
    assert {path.parent.name.split("-")[0] for path in (tmp_path / "runs").glob("*-*/evaluation")} == {"dac", "mine"}


def test_evaluate_by_their_names(
    audio: str, mine: str, dac: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", audio, "--metrics", "si_sdr", "bitrate_efficiency", "--workers", "0"]
    for word, weights, name in ((mine, "4 weights", "mine"), (dac, "weights", "dac")):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", word, *options, "-o", str(tmp_path / "found")])
        assert not stopped.value.code, capsys.readouterr().err
        said = capsys.readouterr().out
        assert f"{weights}; " in said
        assert "times faster than real time on one thread of this CPU" in said
        info = json.loads((tmp_path / "found" / "evaluation.json").read_text())
        assert info["name"] == name
        assert info["baseline"]["part"] in ("PythonCodec", "TransformersCodec")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", f"transformers:{tmp_path / 'nothing'}", *options])
    assert stopped.value.code == 1
    assert "the hub does not give it" in capsys.readouterr().err
