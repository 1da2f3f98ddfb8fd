"""A table whose rows start from one trained run says so in its title, and how that run was trained."""

from pathlib import Path

import pytest
import yaml

from codeclab.experiments.cli import main

ROW = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 4 --model.bitrates [1.5,3] --model.rate_sampling.bitrates [1.5,3] --model.bitrate 3 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --model.quantizer_start_frames 0 "
    "--model.discriminators []"
)


def run(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code in (0, None), argv


def test_the_title_names_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    runs = str(tmp_path / "runs")
    run(["fit", *ROW.split(), "--runs", runs, "--name", "begun", "--trainer.max_steps", "3", "--data", "synthetic"])
    row = f"{ROW} --trainer.max_steps 1"
    content = {"title": "Tiny", "source": "here", "metrics": ["si_snr"], "rows": [{"name": "Row", "flags": row}]}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    table = ["table", str(tmp_path / "tiny.yaml"), "--runs", runs, "--workers", "0"]
    run([*table, "--init", f"{runs}/begun", "-o", str(tmp_path / "started")])
    text = (tmp_path / "started" / "table.md").read_text()
    assert text.startswith("## Tiny; rows start from begun\n")
    assert "begun was trained before the rows: 3 batches of 2 x 0.2 s" in text
    assert "hours of audio heard, without discriminators." in text

    run([*table, "-o", str(tmp_path / "random")])
    text = (tmp_path / "random" / "table.md").read_text()
    assert text.startswith("## Tiny\n")
    assert "before the rows" not in text
