"""A table from flags to files, with the smallest codecs that train."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from codeclab.experiments import run_table
from codeclab.experiments.cli import main

TINY = (
    "--config encodec_24khz --scale demo --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 4 --model.bitrates [1.5,3] --model.rate_sampling.bitrates [1.5,3] --model.bitrate 3 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --trainer.max_steps 2"
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A table of a good row, a row that cannot be built and a row that fails while it trains."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    bad_part = tmp_path / "bad_part.py"
    bad_part.write_text(
        "from codeclab.experiments.losses.base import ReconstructionLoss\n"
        "class FailsAtOnce(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        raise RuntimeError('out of patience')\n"
    )
    rows = [
        {"name": "Good", "flags": TINY, "published": {"si_snr": 6.0}},
        {"name": "Typo", "flags": f"{TINY} --model.quantizer Residual"},
        {"name": "Fails", "flags": f"{TINY} --import {bad_part} --model.waveform_loss FailsAtOnce"},
    ]
    content = {"title": "Tiny", "source": "here", "metrics": ["mel_distance", "si_snr"], "rows": rows}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return ["table", str(tmp_path / "tiny.yaml"), "--runs", str(tmp_path / "runs"), "--workers", "0"]


def run(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_rows_are_made_failures_are_shown_and_nothing_is_done_twice(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(table) == 1
    captured = capsys.readouterr()
    assert "no quantizer 'Residual'" in captured.err
    assert "out of patience" in captured.err
    output = tmp_path / "runs" / "tiny-paper"
    assert {path.name for path in output.iterdir()} == {"table.md", "table.csv", "table.tex", "table.png"}
    text = (output / "table.md").read_text()
    assert "Good" in text
    assert "out of patience" in text
    assert "Residual" in text
    figures = pd.read_csv(output / "table.csv")
    assert {1.5, 3.0} <= set(figures["bitrate_kbps"].dropna())
    (good,) = (tmp_path / "runs").glob("good-*")
    per_file = pd.read_csv(good / "evaluation" / "per_file.csv")
    assert len(per_file) == 2 * 2  # clips times bitrates
    assert json.loads((good / "timing.json").read_text())["train_seconds"] > 0

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(run_table, "evaluate_codec", refuse)
    before = (good / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert run([*table, "--rows", "good"]) == 0
    assert (good / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    assert "Good" in capsys.readouterr().out


def test_a_job_that_is_told_to_end_starts_no_other_row(table: list[str], tmp_path: Path) -> None:
    told = tmp_path / "told_to_end.py"
    told.write_text(
        "import os, signal\n"
        "from codeclab.experiments.losses.base import ReconstructionLoss\n"
        "class EndsTheJob(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        raise RuntimeError('DataLoader worker is killed by signal: Terminated')\n"
    )
    content = yaml.safe_load(Path(table[1]).read_text())
    row = {"name": "Ended", "flags": f"{TINY} --import {told} --model.waveform_loss EndsTheJob"}
    Path(table[1]).write_text(yaml.safe_dump(content | {"rows": [row, content["rows"][0]]}))
    assert run(table) == 143
    assert not list((tmp_path / "runs").glob("good-*"))


def test_an_unknown_row_lists_the_rows(table: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*table, "--rows", "Nobody"]) == 2
    assert "has no row Nobody; it has: Good, Typo, Fails" in capsys.readouterr().err
