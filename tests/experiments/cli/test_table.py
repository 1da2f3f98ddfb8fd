"""A table from flags to files, with the smallest codecs that train."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from codeclab.experiments.cli import main
from codeclab.experiments.cli.table import make_parser, read_slots
from codeclab.experiments.config import scales
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.runner import perform
from codeclab.experiments.runs import build as build_room

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 4 --model.bitrates [1.5,3] --model.rate_sampling.bitrates [1.5,3] --model.bitrate 3 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --trainer.max_steps 2 "
    "--model.quantizer_start_frames 0 --model.adversarial_start 0 --model.discriminator_probability 1"
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A table of a good row, a row that cannot be built and a row that fails while it trains."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    bad_part = tmp_path / "bad_part.py"
    bad_part.write_text(
        "from codeclab.experiments.train.losses.base import ReconstructionLoss\n"
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
    content["compute"] = {"batches": 7, "batch_size": 64, "seconds": 1}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return ["table", str(tmp_path / "tiny.yaml"), "--runs", str(tmp_path / "runs"), "--workers", "0"]


def count_bytes(content: object) -> int:
    """Of all tensors in a nested state."""
    if isinstance(content, torch.Tensor):
        return content.nbytes
    items = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return sum(count_bytes(item) for item in items)


def run(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_a_dry_run_says_the_plan_and_makes_nothing(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*table, "--dry-run", "--rows", "Good", "Typo"]) == 1
    assert re.search(r"  Good  2 batches, about [\d.]+ s\n  Typo  cannot be made", capsys.readouterr().err)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".timings.json"]


def test_a_mistake_that_all_rows_share_is_said_once_and_nothing_is_made(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(Path(table[1]).read_text())
    content["rows"] = [{"name": name, "flags": TINY} for name in ("Good", "As good")]
    Path(table[1]).write_text(yaml.safe_dump(content))
    assert run([*table, "--steps", "3"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("codeclab table: none of its 2 rows can be trained: there is no --steps (did you mean ")
    assert error.count("--steps") == 1
    assert not list((tmp_path / "runs").glob("*/"))


def test_rows_are_made_failures_are_shown_and_nothing_is_done_twice(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(table) == 1
    captured = capsys.readouterr()
    assert "no quantizer 'Residual'" in captured.err
    assert "out of patience" in captured.err
    output = tmp_path / "runs" / "tiny-paper"
    endings = ("md", "csv", "tex", "png", "json")
    assert {path.name for path in output.iterdir()} == {f"table.{ending}" for ending in endings}
    text = (output / "table.md").read_text()
    assert "Good" in text
    assert "out of patience" in text
    assert "Residual" in text
    assert "Rows were trained for 2 batches instead of 750." in text
    assert re.search(r"Each training: 2 batches of 2 x 0.2 s, 0.00022 hours of audio heard, [\d.]+ s on ", text)
    assert "; the paper's: 7 batches of 64 x 1 s, 0.12 hours of audio heard." in text
    assert re.search(r"  Good   2 batches, about [\d.]+ s\n  Typo   cannot be made: no quantizer", captured.err)
    figures = pd.read_csv(output / "table.csv")
    assert {1.5, 3.0} <= set(figures["bitrate_kbps"].dropna())
    (good,) = (tmp_path / "runs").glob("good-*")
    per_file = pd.read_csv(good / "tables" / "tiny-good" / "per_file.csv")
    assert len(per_file) == 2 * 2  # clips times bitrates
    assert json.loads((good / "timing.json").read_text())["train_seconds"] > 0
    assert captured.err.count("networks run in bfloat16") <= 1  # the plan says it, not each row
    assert "is trained\n" in captured.err  # without advice to measure it: the table does
    (needed,) = re.findall(r"disk: about ([\d.]+) MiB needed", captured.err)
    checkpoint = torch.load(good / "checkpoints" / "last.ckpt", weights_only=True)
    run_bytes = 2 * count_bytes(checkpoint) + count_bytes(load_file(good / "codec" / "model.safetensors"))
    # Two rows like this one, and half of one for each that is made at a time: a checkpoint is written beside the one
    # it replaces.
    assert float(needed) * 2**20 == pytest.approx((2 + usable_cores() / 2) * run_bytes, rel=0.02)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(perform, "evaluate_on", refuse)
    before = (good / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert run([*table, "--rows", "good"]) == 0
    assert (good / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    again = capsys.readouterr()
    assert "Good" in again.out
    assert "  Good  trained\n" in again.err
    assert "training takes" not in again.err


def test_what_rows_share_is_noted_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_room, "has_fast_bf16", lambda: True)
    monkeypatch.setattr(build_room, "trains_on_cpu", lambda accelerator: True)
    swapped = "--config encodec_24khz --scale laptop --model.quantizer FactorizedVQ"
    rows = [{"name": name, "flags": f"{swapped} --seed_everything {seed}"} for seed, name in enumerate("AB")]
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump({"title": "Two", "source": "here", "metrics": ["si_snr"], "rows": rows}))
    for _ in range(2):
        assert run(["table", str(path), "--runs", str(tmp_path / "runs"), "--dry-run"]) == 0
        printed = capsys.readouterr().err
        assert printed.count("note: quantizer is FactorizedVQ; these arguments of ") == 1
        assert printed.count("note: networks run in bfloat16 on this processor") == 1


def test_seeds_are_runs_of_their_own_and_one_row(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*table, "--rows", "good", "--seeds", "2"]) == 0
    assert "Good  2 seeds, 4 batches" in capsys.readouterr().err
    first, second = sorted((tmp_path / "runs").glob("good-*"))
    assert second.name == f"{first.name}-seed1"
    weights = [(folder / "codec" / "model.safetensors").read_bytes() for folder in (first, second)]
    assert weights[0] != weights[1]
    means = [
        pd.read_csv(folder / "tables" / "tiny-good" / "per_file.csv")
        .query("bitrate_kbps == 3.0")["mel_distance"]
        .mean()
        for folder in (first, second)
    ]
    figures = pd.read_csv(tmp_path / "runs" / "tiny-paper" / "table.csv")
    (mean,) = figures.query("bitrate_kbps == 3.0 and metric == 'mel_distance' and domain == 'all'")["mean"]
    assert mean == pytest.approx(sum(means) / 2)
    assert run([*table, "--rows", "good"]) == 0
    assert "Good  trained" in capsys.readouterr().err


def test_a_scale_says_how_often_rows_are_trained(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scales, "SCALES", tmp_path)
    (tmp_path / "often.yaml").write_text("seeds: 3\n")
    (tmp_path / "wrong.yaml").write_text("seeds: many\n")
    content = yaml.safe_load(Path(table[1]).read_text())
    row = {"name": "Good", "flags": TINY.replace("--scale laptop ", "")}
    Path(table[1]).write_text(yaml.safe_dump(content | {"rows": [row]}))
    assert run([*table, "--scale", "often", "--dry-run"]) == 0
    assert "Good  3 seeds, 6 batches" in capsys.readouterr().err
    assert run([*table, "--scale", "often", "--seeds", "1", "--dry-run"]) == 0
    assert "Good  2 batches" in capsys.readouterr().err
    assert run([*table, "--scale", "wrong", "--dry-run"]) == 2
    assert "'seeds' is how often a table trains each row, 1 or more, not 'many'" in capsys.readouterr().err


@pytest.mark.slow
def test_rows_side_by_side_are_those_of_one_after_another(
    table: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights and figures, from one process after the other; each row says what it is at."""
    content = yaml.safe_load(Path(table[1]).read_text())
    names = ("One", "Two", "Three")
    rows = [{"name": name, "flags": f"{TINY} --seed_everything {seed}"} for seed, name in enumerate(names)]
    Path(table[1]).write_text(yaml.safe_dump(content | {"rows": rows}))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run([*table, "--jobs", "1"]) == 0
    capfd.readouterr()
    assert run([*table[:3], str(tmp_path / "beside"), "--jobs", "2"]) == 0
    said = capfd.readouterr().err
    assert ", 2 rows at a time in 1 thread each" in said
    for name in names:
        states = [line for line in said.splitlines() if re.match(f"{name}[:,]", line)]
        assert [re.sub(r"\d+ s|: \d+ clips", "", line) for line in states] == [
            f"{name}: training, 2 batches", f"{name}, measuring", f"{name}, measuring: done in ", f"{name}: done, "
        ]  # fmt: skip
        (alone,), (beside,) = (list((tmp_path / runs).glob(f"{name.lower()}-*")) for runs in ("runs", "beside"))
        assert alone.name == beside.name
        for file in ("codec/model.safetensors", f"tables/tiny-{name.lower()}/summary.csv"):
            assert (alone / file).read_bytes() == (beside / file).read_bytes(), file


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--jobs 0", "should be 1 or more"),
        ("--seeds 0", "should be 1 or more"),
        ("--launcher slurm --jobs 2", "Slurm gives each row"),
        ("--slurm partition=gpu", "is for --launcher slurm"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_slots(make_parser().parse_args(["demo", *words.split()]), 1)


def test_a_job_that_gets_a_stop_signal_starts_no_other_row(table: list[str], tmp_path: Path) -> None:
    marker = tmp_path / "told_to_end.py"
    marker.write_text(
        "import os, signal\n"
        "from codeclab.experiments.train.losses.base import ReconstructionLoss\n"
        "class EndsTheJob(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        raise RuntimeError('DataLoader worker is killed by signal: Terminated')\n"
    )
    content = yaml.safe_load(Path(table[1]).read_text())
    row = {"name": "Ended", "flags": f"{TINY} --import {marker} --model.waveform_loss EndsTheJob"}
    Path(table[1]).write_text(yaml.safe_dump(content | {"rows": [row, content["rows"][0]]}))
    assert run([*table, "--jobs", "1"]) == 143
    assert not list((tmp_path / "runs").glob("good-*"))


def test_a_row_on_several_machines_is_refused(table: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*table, "--rows", "Good", "--dry-run", "--trainer.num_nodes", "2"]) == 2
    assert "a table trains each row on one machine" in capsys.readouterr().err


def test_an_unknown_row_lists_the_rows(table: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*table, "--rows", "Nobody"]) == 2
    assert re.search(r"has no row Nobody.*; it has: Good, Typo, Fails", capsys.readouterr().err)
