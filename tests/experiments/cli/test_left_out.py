"""One bad file among good ones: what is made is made without it, and ends with its name and why."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.cli import main
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.runner.baseline_rows import clip_settings, measure_untrained, plan_measurement
from codeclab.experiments.runner.draft import draft_row
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.spec import TableSpec

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --data.workers 0 --trainer.max_steps 1 "
    "--model.quantizer_start_frames 0 --model.adversarial_start 0 --model.discriminator_probability 1"
)
BAD = "1 of 7 files left out: train/bad.wav (unreadable: "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise_corpus: Callable[[Path, str], Path]) -> Path:
    """Two good files a split, and one that is no audio."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    corpus = noise_corpus(tmp_path / "audio", "ab")
    (corpus / "train" / "bad.wav").write_bytes(b"RIFF, and then nothing")
    return corpus


def run(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0


def test_fit_evaluate_and_compare_end_with_what_they_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["fit", *TINY.split(), "--data", str(folder), "--runs", str(tmp_path / "runs"), "--name", "mine"])
    said = capsys.readouterr().err
    assert f"mine: {BAD}" in said[said.index("batch 1/1") :]
    mine = str(tmp_path / "runs" / "mine")
    for command in ("validate", "test"):
        run([command, "--config", mine])
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"mine: {BAD}")
    run(["evaluate", mine, "--metrics", "si_snr"])
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"codeclab evaluate: {BAD}")
    run(["evaluate", "--baseline", "MP3", "--data", str(folder), "--bitrates", "64", "--metrics", "si_snr", "-o", mine])
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"codeclab evaluate: {BAD}")
    run(["compare", mine, "MP3", "--bitrates", "1.5", "64", "--metrics", "si_snr", "-o", str(tmp_path / "both")])
    assert BAD in (tmp_path / "both" / "table.md").read_text().replace("\\", "")


def test_a_test_split_of_which_much_is_of_no_use_is_refused_before_the_first_clip(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(60):
        soundfile.write(folder / "train" / f"{index}.wav", np.full(2400, 0.1), 24000)
    for name in "xy":
        (folder / "test" / f"{name}.wav").write_bytes(b"RIFF, and then nothing")
    refusal = f"2 of 4 test files in {folder} cannot be used, more than 5 %: test/x.wav (unreadable: "
    data = ["--data", str(folder), "--bitrates", "64", "--metrics", "si_snr", "-o", str(tmp_path / "out")]
    for words in (["evaluate", "--baseline", "MP3"], ["compare", "MP3"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--split", "test", *data])
        assert ended.value.code == 2
        assert f"codeclab {words[0]}: {refusal}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    run(["evaluate", "--baseline", "MP3", "--split", "test", *data, "--data.max_left_out", "0.5"])
    assert "3 of 69 files left out: " in capsys.readouterr().err.splitlines()[-1]
    run(["evaluate", "--baseline", "MP3", *data, "--clips", "2", "--split", "all"])  # of all, 5 % may be of no use
    rows = [
        RowSpec("Row", flags=TINY.split()),
        RowSpec("MP3", baseline={"part": "MP3"}, bitrates=[64]),
    ]
    spec = TableSpec("tiny", "Tiny", "here", rows, ["si_snr"], sample_rate=24000)
    request = TableRequest(spec, None, data=str(folder), runs=str(tmp_path / "runs"))
    assert refusal in str(draft_row(rows[0], request).error)
    job = Job(request.spec_of(rows[1]), "MP3", request.runs, data=request.data, workers=0)
    with pytest.raises(DataError, match="2 of 4 test files"):
        measure_untrained(job)
    settings = clip_settings(None, [("data.max_left_out", "0.5")])
    usual, allowed = (plan_measurement(replace(job, clips=clips)) for clips in ({}, settings))
    assert allowed.folder == usual.folder  # figures are the same
    allowed.clips.check((allowed.split,))


def test_a_table_ends_with_what_its_rows_left_out_when_they_were_trained_and_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "Row", "flags": TINY}, {"name": "MP3", "baseline": {"part": "MP3"}, "bitrates": [64]}]
    content = {"title": "Tiny", "source": "here", "metrics": ["si_snr"], "sample_rate": 24000, "rows": rows}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    words = ["table", str(tmp_path / "tiny.yaml"), "--data", str(folder), "--runs", str(tmp_path / "runs")]
    words += ["--workers", "0", "--jobs", "1"]
    run(words)
    for text in (capsys.readouterr().out, (tmp_path / "runs" / "tiny-paper" / "table.md").read_text()):
        assert BAD in " ".join(text.replace("\\", "").split())
    (stored,) = (tmp_path / "runs").glob("row-*/left_out.json")
    content = json.loads(stored.read_text())
    content["reasons"]["train/b.wav"] = "broken while it was trained on"
    stored.write_text(json.dumps(content))
    run(words)  # nothing is made, and what was left out stays known
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 7 files left out: train/bad.wav (unreadable: " in said
    assert "; train/b.wav (broken while it was trained on)." in said
