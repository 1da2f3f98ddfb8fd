"""Rows in processes of their own: on which devices, how many at a time, and what is said when one dies."""

import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.cli import main
from codeclab.experiments.config.own_code import code_allowed
from codeclab.experiments.runner import launcher, perform
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.launcher import LocalLauncher, Submitted
from codeclab.experiments.runner.slurm import SlurmLauncher
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.disk import why_unwritten
from codeclab.experiments.runs.stopping import Stopped, listening

TOO_FEW = "the row needs 3 devices; --devices lists 2. Use --devices 3"


def job(name: str, devices: int = 1) -> Job:
    return Job(TableSpec("table", "T", "", [RowSpec(name)]), name, "runs", devices=devices)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list:
    """Executors in place of submitit's, whose jobs are threads; ``making`` is what a job returns, None if it died."""

    class Executor:
        started: list = []
        making = staticmethod(lambda job, visible: Outcome())

        def __init__(self, folder: str, cluster: str) -> None:
            assert cluster == "local"
            self.paths = SimpleNamespace(stdout=Path(folder) / "log.out", result_pickle=Path(folder) / "result.pkl")
            self.job_id = "0"
            self.started.append(self)

        def update_parameters(self, **parameters: object) -> None:
            self.parameters = parameters

        def submit(self, work: object, pickled: bytes, wait: bool, visible: str | None, *others: object) -> "Executor":
            assert (work, others) == (launcher.work, (os.getpid(), False))
            self.environment, self.job, self.visible = dict(os.environ), pickle.loads(pickled), visible
            self.thread = threading.Thread(target=self.make)
            self.thread.start()
            return self

        def make(self) -> None:
            self.outcome = self.making(self.job, self.visible)
            if self.outcome is not None:
                self.paths.result_pickle.touch()

        def done(self) -> bool:
            return not self.thread.is_alive()

        def exception(self) -> None:
            return None

        def result(self) -> Outcome:
            return self.outcome

    monkeypatch.setattr(launcher.submitit, "AutoExecutor", Executor)
    monkeypatch.setattr(LocalLauncher, "pause", 0.01)
    return Executor


def test_each_row_has_gpus_of_its_own(started, tmp_path: Path) -> None:
    """Two GPUs: a and b together, then c on both, which started only when both had come back; d needs too many."""
    together = threading.Barrier(2)
    running, seen, most = set(), {}, []

    def made(job: Job, visible: str) -> Outcome:
        running.add(job.name)
        most.append(len(running))
        seen[job.name] = visible
        if job.name in "ab":
            together.wait(timeout=60)
        running.discard(job.name)
        return Outcome()

    started.making = staticmethod(made)
    jobs = [job("a"), job("b"), job("c", 2), job("d", 3)]
    outcomes = LocalLauncher(tmp_path, ["4", "6"])(jobs, False)
    assert {seen["a"], seen["b"]} == {"4", "6"}
    assert set(seen["c"].split(",")) == {"4", "6"}
    assert max(most) == 2
    assert [outcome.error for outcome in outcomes] == [None, None, None, TOO_FEW]
    assert LocalLauncher(tmp_path, ["4"])([], True) == []


def test_rows_that_share_gpus_go_to_the_idlest(started, tmp_path: Path) -> None:
    """Two rows at a time on each of two GPUs: four run together, two on each; a row on both GPUs has each once."""
    together = threading.Barrier(4)
    seen = {}

    def made(job: Job, visible: str) -> Outcome:
        seen[job.name] = visible
        if job.devices == 1:
            together.wait(timeout=60)
        return Outcome()

    started.making = staticmethod(made)
    jobs = [job(name) for name in "abcd"] + [job("e", 2), job("f", 3)]
    outcomes = LocalLauncher(tmp_path, ["4", "6"] * 2)(jobs, False)
    assert sorted(seen[name] for name in "abcd") == ["4", "4", "6", "6"]
    assert set(seen["e"].split(",")) == {"4", "6"}
    assert [outcome.error for outcome in outcomes] == [None] * 5 + [TOO_FEW]


def test_rows_on_a_cpu_share_its_cores(started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    LocalLauncher(tmp_path, [None, None])([job("a", devices=2)], False)
    (made,) = started.started
    assert {made.environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} == {"4"}
    assert made.environment["GOMP_SPINCOUNT"] == "2000"
    assert made.visible is None
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_row_that_dies_is_an_error_and_the_next_is_made(started, tmp_path: Path, capsys) -> None:
    def made(job: Job, visible: str | None) -> Outcome | None:
        return None if job.name == "b" else Outcome(error=job.name if job.name == "c" else None)

    started.making = staticmethod(made)
    outcomes = LocalLauncher(tmp_path, [None])([job(name) for name in "abcd"], False)
    assert [outcome.error for outcome in outcomes] == [None, LocalLauncher.lost, "c", None]
    assert capsys.readouterr().err == f"b: {LocalLauncher.lost}; its log: {started.started[1].paths.stdout}\n"


def test_a_log_is_passed_on_by_whole_lines(started, tmp_path: Path, capsys) -> None:
    (tmp_path / "log.out").write_bytes(b"first\nsec")
    submitted = Submitted(SimpleNamespace(paths=SimpleNamespace(stdout=tmp_path / "log.out")))
    submitted.pass_on()
    submitted.pass_on()
    assert capsys.readouterr().err == "first\n"
    with (tmp_path / "log.out").open("ab") as file:
        file.write(b"ond\nthird\n")
    submitted.pass_on()
    assert capsys.readouterr().err == "second\nthird\n"


def test_a_job_sees_its_own_devices_and_no_slurm(tmp_path: Path) -> None:
    """submitit's local executor hides all GPUs, and names them by numbers alone."""
    program = (
        "import os, pickle\n"
        "from codeclab.experiments.runner import perform\n"
        "from codeclab.experiments.runner.worker import work\n"
        "seen = lambda: (os.environ.get('CUDA_VISIBLE_DEVICES'), 'SLURM_NTASKS' in os.environ)\n"
        "perform.perform = lambda text, wait: (text, wait, *seen())\n"
        "for visible, runner in (('GPU-7,2', os.getppid()), (None, os.getppid())):\n"
        "    os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "    print(work(pickle.dumps('text'), True, visible, runner))\n"
        "os.environ['CUDA_VISIBLE_DEVICES'] = '5'\n"
        "print(work(pickle.dumps('text'), False))\n"
    )
    environment = os.environ | {"SLURM_NTASKS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    own = [("text", True, "GPU-7,2", False), ("text", True, None, False), ("text", False, "5", False)]
    assert done.stdout.splitlines() == [str(one) for one in own], done.stderr


@pytest.mark.slow
def test_rows_in_processes_and_one_that_is_killed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tiny_row: str,
    write_table: Callable[..., Path],
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
        {"name": "Good", "flags": tiny_row},
        {
            "name": "Killed",
            "flags": f"{tiny_row} --import {killed} --model.waveform_loss Killed --model.weights.waveform 1",
        },
    ]
    table = write_table("Pair", rows)
    command = ["table", str(table), "--runs", str(tmp_path / "runs"), "--workers", "0", "--jobs", "2"]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    said = capfd.readouterr().err
    assert stopped.value.code == 1, said
    assert "Good: done" in said
    assert said.count("no reverberation") <= 1  # the plan says it, the rows' processes do not
    figures = pd.read_csv(tmp_path / "runs" / "pair-paper" / "table.csv")
    assert figures.query("row == 'Good'")["mean"].notna().any()
    assert set(figures.query("row == 'Killed'")["error"]) == {LocalLauncher.lost}
    (log,) = (tmp_path / "runs" / ".jobs").glob("good-*/*_log.out")
    assert "Good: done" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_rows_in_processes_stop_after_their_batch_and_keep_it(
    tmp_path: Path,
    number: int,
    tiny_row: str,
    write_table: Callable[..., Path],
) -> None:
    """Ctrl-C and a scheduler signal all processes; SIGKILL is for the runner alone, whose rows end with it."""
    flags = tiny_row.replace("--trainer.max_steps 2", "--trainer.max_steps 100000")
    rows = [{"name": "One", "flags": flags}, {"name": "Two", "flags": f"{flags} --model.weights.waveform 1"}]
    table, runs = write_table("Pair", rows), tmp_path / "runs"
    words = ["table", str(table), "--runs", str(runs), "--workers", "0", "--jobs", "2"]
    command = [sys.executable, "-m", "codeclab.experiments", *words]
    environment = os.environ | {"WANDB_MODE": "disabled"}

    def both_say(text: str) -> None:
        until = time.monotonic() + 240
        while sum(text in log.read_text() for log in runs.glob(".jobs/*/*_log.out")) < 2:
            assert time.monotonic() < until, [log.read_text() for log in runs.glob(".jobs/*/*_log.out")]
            time.sleep(0.1)

    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as table:
        both_say("batch 10/")
        (os.kill if number == signal.SIGKILL else os.killpg)(table.pid, number)
        _, said = table.communicate(timeout=240)
    both_say("stopped after batch")
    assert table.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    assert "its process ended" not in said
    assert len(list(runs.glob("*/checkpoints/last.ckpt"))) == 2


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
    with code_allowed(), pytest.raises(RuntimeError, match="status 3"):
        perform.train(row)
    assert (tmp_path / "words").read_text().endswith(f"{settings} --run-code\n")


def test_a_signal_while_a_rows_own_process_starts_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\nexec sleep 60\n")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(stub))
    popen, started = subprocess.Popen, []

    def interrupted(*words: object, **options: object) -> object:
        started.append(popen(*words, **options))
        os.kill(os.getpid(), signal.SIGINT)
        return started[0]

    monkeypatch.setattr(perform.subprocess, "Popen", interrupted)
    row = Job(TableSpec("t", "T", "", [RowSpec("Two")]), "two", str(tmp_path), {}, steps=1, devices=2)
    try:
        with listening(), pytest.raises(Stopped) as stopped:
            perform.train(row)
        assert stopped.value.code == 130
        assert started[0].poll() is not None
    finally:
        started[0].kill()
        started[0].wait()


def test_a_command_that_leaves_its_jobs_to_slurm_ends_by_the_users_signal() -> None:
    slurm = object.__new__(SlurmLauncher)
    with (
        listening() as stop,
        stop.held(),
        stop.passed_on(lambda number: slurm.pass_signal([], number)),
        pytest.raises(Stopped) as stopped,
    ):
        signal.raise_signal(signal.SIGINT)
    assert stopped.value.code == 130


def test_an_error_without_words_has_its_name(tmp_path: Path) -> None:
    assert why_unwritten(tmp_path, OSError()) == "OSError"
    assert why_unwritten(tmp_path, OSError("gone\nand more")) == "gone"
