"""Rows in processes of their own: on which devices, how many at a time, and what is said when one dies."""

import os
import stat
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
import yaml

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.cli import main
from codeclab.experiments.runner import perform, processes
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.processes import in_parallel
from codeclab.experiments.runner.spec import TableSpec

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.clip_seconds 0.5 --trainer.limit_val_batches 0 --trainer.max_steps 2 "
    "--model.quantizer_start_frames 0"
)


def job(name: str, devices: int = 1) -> Job:
    return Job(TableSpec("table", "T", "", [RowSpec(name)]), name, "runs", devices=devices)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list:
    """Workers that only note what they are given; a test may set what ``making`` a job does."""

    class Noted:
        started: list = []
        making = staticmethod(lambda job, wait, environment: Outcome())

        def __init__(self, environment: dict[str, str]) -> None:
            self.environment, self.jobs, self.alive, self.closed = environment, [], True, False
            self.started.append(self)

        def make(self, job: Job, wait: bool) -> Outcome:
            self.jobs.append(job.name)
            outcome = self.making(job, wait, self.environment)
            self.alive = outcome.error is None
            return outcome

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(processes, "Worker", Noted)
    return Noted


def test_each_row_has_gpus_of_its_own(workers) -> None:
    """Two GPUs: a and b together, then c on both, which started only when both had come back; d wants too many."""
    together = threading.Barrier(2)
    running, seen, most = set(), {}, []

    def made(job: Job, wait: bool, environment: dict[str, str]) -> Outcome:
        running.add(job.name)
        most.append(len(running))
        seen[job.name] = environment["CUDA_VISIBLE_DEVICES"]
        if job.name in "ab":
            together.wait(timeout=60)
        running.discard(job.name)
        return Outcome(error=job.name if wait else None)

    workers.making = staticmethod(made)
    found = in_parallel([job("a"), job("b"), job("c", 2), job("d", 3)], False, ["4", "6"])
    assert {seen["a"], seen["b"]} == {"4", "6"}
    assert set(seen["c"].split(",")) == {"4", "6"}
    assert max(most) == 2
    assert [outcome.error for outcome in found] == [None, None, None, "wants 3 devices, but --devices gives 2"]
    assert in_parallel([], True, ["4"]) == []


def test_rows_that_share_gpus_go_to_the_idlest(workers) -> None:
    """Two rows at a time on each of two GPUs: four run together, two on each; a row on both GPUs has each once."""
    together = threading.Barrier(4)
    seen = {}

    def made(job: Job, wait: bool, environment: dict[str, str]) -> Outcome:
        seen[job.name] = environment["CUDA_VISIBLE_DEVICES"]
        if job.devices == 1:
            together.wait(timeout=60)
        return Outcome()

    workers.making = staticmethod(made)
    found = in_parallel([job(name) for name in "abcd"] + [job("e", 2), job("f", 3)], False, ["4", "6"] * 2)
    assert sorted(seen[name] for name in "abcd") == ["4", "4", "6", "6"]
    assert set(seen["e"].split(",")) == {"4", "6"}
    assert [outcome.error for outcome in found] == [None] * 5 + ["wants 3 devices, but --devices gives 2"]


def test_rows_on_a_cpu_share_its_cores(workers, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    in_parallel([job("a", devices=2)], False, [None, None])
    (worker,) = workers.started
    assert {worker.environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} == {"4"}
    assert worker.environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_process_on_the_cores_makes_the_next_row_unless_it_died(workers) -> None:
    workers.making = staticmethod(lambda job, wait, environment: Outcome(error="died" if job.name == "b" else None))
    found = in_parallel([job(name) for name in "abcd"], False, [None])
    assert [outcome.error for outcome in found] == [None, "died", None, None]
    assert [worker.jobs for worker in workers.started] == [["a", "b"], ["c", "d"]]
    assert all(worker.closed for worker in workers.started)
    workers.started.clear()
    in_parallel([job(name) for name in "ac"], False, ["4"])
    assert [worker.jobs for worker in workers.started] == [["a"], ["c"]]  # a process keeps memory of its GPU


@pytest.mark.slow
def test_rows_in_processes_and_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    killed = tmp_path / "killed_part.py"
    killed.write_text(
        "import os, signal\n"
        "from codeclab.experiments.train.losses.base import ReconstructionLoss\n"
        "class Killed(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        if os.getpid() != int(os.environ['PLANNER']):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return fake.abs().mean()\n"
    )
    monkeypatch.setenv("PLANNER", str(os.getpid()))
    rows = [
        {"name": "Good", "flags": TINY},
        {
            "name": "Killed",
            "flags": f"{TINY} --import {killed} --model.waveform_loss Killed --model.weights.waveform 1",
        },
    ]
    table = tmp_path / "pair.yaml"
    table.write_text(yaml.safe_dump({"title": "Pair", "source": "here", "metrics": ["si_snr"], "rows": rows}))
    command = ["table", str(table), "--runs", str(tmp_path / "runs"), "--workers", "0", "--jobs", "2"]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    said = capfd.readouterr().err
    assert stopped.value.code == 1, said
    assert "Good: done" in said
    assert said.count("no reverberation") <= 1  # the plan says it, the rows' processes do not
    figures = pd.read_csv(tmp_path / "runs" / "pair-paper" / "table.csv")
    assert figures.query("row == 'Good'")["mean"].notna().any()
    assert set(figures.query("row == 'Killed'")["error"]) == {"its process ended with signal 9 before the row was done"}


def test_a_row_on_two_devices_is_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = tmp_path / "python"
    stub.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/words\n'
        "env > " + f"{tmp_path}/environment\n" + "echo first >&2\necho the reason >&2\nexit 3\n"
    )
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(stub))
    monkeypatch.setenv("SLURM_NTASKS", "1")
    spec, config = TableSpec("t", "T", "", [RowSpec("Two")]), {"trainer": {"devices": 2}}
    row = Job(spec, "two", str(tmp_path), config, steps=1, devices=2)
    with pytest.raises(RuntimeError, match="codeclab fit ended with status 3: the reason"):
        perform.train(row)
    settings = tmp_path / ".settings" / "two.yaml"
    assert (tmp_path / "words").read_text() == f"-m codeclab.experiments fit --config {settings}\n"
    assert yaml.safe_load(settings.read_text()) == config
    assert "SLURM_" not in (tmp_path / "environment").read_text()
    assert capsys.readouterr().err == "Two: training, 1 batch\nfirst\nthe reason\n"
