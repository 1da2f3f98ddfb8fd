"""A run that gets a stop signal saves its state, reports it, and resumes to the result of an uninterrupted run."""

import os
import signal
import subprocess
import sys
import time

import lightning
import pytest
import torch

from codeclab.experiments.runs.stopping import Stopped, listening, stop_request

SETTINGS = {"trainer__val_check_interval": 4, "trainer__limit_val_batches": 1, "model__average_decay": 0.9}
COMPARED = ("state_dict", "optimizer_states", "global_step")


class At(lightning.Callback):
    """Does something at a hook once so many batches are done."""

    def __init__(self, hook, step, act):
        self.step, self.act, self.done = step, act, False
        setattr(self, hook, self._do)

    def _do(self, trainer, *_, **__):
        if trainer.global_step == self.step and not self.done:
            self.done = True
            self.act(trainer)


def signals(number):
    return lambda trainer: os.kill(os.getpid(), number)


def fails(trainer):
    raise RuntimeError("a metric broke")


@pytest.fixture
def stopped_and_continued(build, tmp_path):
    """``stopped_and_continued(error, hook, step, act, **settings)``: the run's exit and its folder, continued."""

    def run(error, hook, step, act, **settings):
        cli = build("encodec_24khz", 8, name="broken", **SETTINGS | settings)
        cli.trainer.callbacks.insert(0, At(hook, step, act))
        with listening(), pytest.raises(error) as ended:
            cli.execute()
        left = torch.load(tmp_path / "broken" / "checkpoints" / "last.ckpt", weights_only=True)
        build("encodec_24khz", 8, name="broken", **SETTINGS | settings).execute()
        return ended.value, left

    return run


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """The run that never stopped."""
    from codeclab.experiments.runs import build as fit

    folder, threads = tmp_path_factory.mktemp("whole"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        fit.build("fit", [*tiny("encodec_24khz", 8, **SETTINGS), f"--runs={folder}", "--name=run"]).execute()
    yield folder / "run"
    torch.set_num_threads(threads)


def same_files(left, right):
    assert (left / "metrics.csv").read_text() == (right / "metrics.csv").read_text()
    name = "codec/model.safetensors"
    assert (left / name).read_bytes() == (right / name).read_bytes()
    before, after = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (left, right))
    for key in COMPARED:
        torch.testing.assert_close(before[key], after[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("hook", "step", "number", "saved", "due"),
    [
        ("on_train_batch_start", 2, signal.SIGINT, 3, False),  # the batch ends first
        ("on_train_batch_end", 4, signal.SIGTERM, 4, True),  # where a validation comes next
        pytest.param("on_validation_start", 4, signal.SIGTERM, 4, True, marks=pytest.mark.slow),
        # Its result is stored by then.
        pytest.param("on_validation_end", 4, signal.SIGUSR1, 5, False, marks=pytest.mark.slow),
        ("on_validation_start", 8, signal.SIGINT, 8, True),  # nothing but the last validation is left
        # Nothing remains to be done, but the command got a stop signal.
        pytest.param("on_train_end", 8, signal.SIGTERM, 8, False, marks=pytest.mark.slow),
    ],
)
def test_a_signal_at_any_moment_ends_the_batch_and_keeps_it(
    stopped_and_continued, whole, tmp_path, capsys, hook, step, number, saved, due
):
    stopped, left = stopped_and_continued(Stopped, hook, step, signals(number))
    assert stopped.code == 128 + number
    assert (left["global_step"], left["callbacks"]["RunCheckpoint"]["validation_due"]) == (saved, due)
    said = capsys.readouterr().err
    if hook != "on_train_end":
        assert f"broken: stopped after batch {saved}; the same command continues it" in said
        assert "is finished" not in said
    same_files(whole, tmp_path / "broken")


SCRIPT = {"SLURM_STEP_ID": "4294967291"}
TASK = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "here"}


@pytest.mark.parametrize(
    ("more", "job"),
    [
        (TASK, "7"),  # as srun starts it
        pytest.param(SCRIPT | {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, "5_2", marks=pytest.mark.slow),
    ],
)
def test_slurms_signal_keeps_the_batch_and_has_the_job_run_again(
    stopped_and_continued, whole, tmp_path, monkeypatch, capsys, more, job
):
    called = tmp_path / "called"
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    # The job resumes from what is stored when this is called.
    checkpoint = tmp_path / "broken" / "checkpoints" / "last.ckpt"
    scontrol.write_text(f'#!/bin/sh\ntest -s "{checkpoint}" && echo "$@" >> "{called}"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}{os.pathsep}{os.environ['PATH']}")
    allocation = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
    for name, value in (allocation | more).items():
        monkeypatch.setenv(name, value)
    stopped, left = stopped_and_continued(Stopped, "on_train_batch_start", 2, signals(signal.SIGUSR1))
    assert stopped.code == 128 + signal.SIGUSR1
    assert left["global_step"] == 3
    assert called.read_text() == f"requeue {job}\n"
    assert f"Slurm runs job {job} again" in capsys.readouterr().err
    same_files(whole, tmp_path / "broken")


def test_a_fault_in_validation_costs_no_batch(stopped_and_continued, whole, tmp_path):
    _, left = stopped_and_continued(RuntimeError, "on_validation_batch_end", 4, fails)
    assert left["global_step"] == 4
    same_files(whole, tmp_path / "broken")


def test_a_fault_between_two_batches_costs_none(stopped_and_continued, whole, tmp_path, capsys):
    from codeclab.experiments.data.excerpts import TrainExcerpts

    draw = TrainExcerpts.__getitem__
    with pytest.MonkeyPatch.context() as patch:
        broken = []

        def once(self, batch):
            if batch == 7 and not broken:
                broken.append(batch)
                raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")
            return draw(self, batch)

        patch.setattr(TrainExcerpts, "__getitem__", once)
        _, left = stopped_and_continued(RuntimeError, "on_fit_start", -1, fails)
    assert left["global_step"] >= 5  # batches are fetched ahead
    assert f"saved after batch {left['global_step']}" in capsys.readouterr().err
    same_files(whole, tmp_path / "broken")


def test_last_is_written_by_time_too(build, tmp_path, monkeypatch):
    from codeclab.experiments.runs import checkpoint

    cli = build("encodec_24khz", 6, trainer__val_check_interval=6, checkpoint_minutes=1)
    (ours,) = [one for one in cli.trainer.callbacks if isinstance(one, checkpoint.RunCheckpoint)]
    now = [0.0]
    ours.clock = lambda: now[0]
    written = []
    save = ours._save_last
    ours._save_last = lambda trainer, must=False: (written.append(trainer.global_step), save(trainer, must))[1]
    cli.trainer.callbacks.insert(0, At("on_train_batch_start", 2, lambda trainer: now.__setitem__(0, 61.0)))
    cli.trainer.callbacks.insert(0, At("on_train_batch_start", 4, lambda trainer: now.__setitem__(0, 120.0)))
    cli.execute()
    assert written == [3, 6]  # 61 s after the start; 120 s is less than a minute after the one before


def test_a_checkpoint_that_cannot_be_written_is_tried_again(build, tmp_path, monkeypatch, capsys):
    cli = build("encodec_24khz", 4, trainer__val_check_interval=2)
    save, calls = cli.trainer.save_checkpoint, []

    def full(path, *args, **named):
        calls.append(cli.trainer.global_step)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        save(path, *args, **named)

    monkeypatch.setattr(cli.trainer, "save_checkpoint", full)
    cli.execute()
    assert calls == [2, 4]
    assert "last.ckpt cannot be written ([Errno 28] No space left on device); training goes on" in (
        capsys.readouterr().err
    )
    assert cli.folder.is_finished(4)


def send_self(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # for the handler to be run


def test_work_that_holds_signals_back_only_notes_the_first():
    with listening() as stop, stop.held():
        send_self(signal.SIGTERM)
        assert stop_request().number == signal.SIGTERM
    with listening(), pytest.raises(Stopped) as ended:
        send_self(signal.SIGINT)
    assert ended.value.code == 130
    assert stop_request().number is None


def test_the_inner_command_has_a_request_of_its_own():
    with listening() as outer, outer.held():
        with listening() as inner, inner.held():
            send_self(signal.SIGTERM)
            assert stop_request() is inner
        assert stop_request() is outer
        assert (inner.number, outer.number) == (signal.SIGTERM, None)
        send_self(signal.SIGINT)
        assert outer.number == signal.SIGINT


def test_a_second_signal_ends_at_once_and_what_a_table_passes_on_is_no_second_one():
    program = (
        "import sys, time\n"
        "from codeclab.experiments.runs.stopping import listening\n"
        "with listening() as stop, stop.held():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.05)\n"
        "        if stop.number: print(stop.number, flush=True); time.sleep(60)\n"
    )
    for sent, status in (((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGUSR2, signal.SIGTERM), None)):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(sent[0])
            assert process.stdout.readline() == f"{int(sent[0])}\n"
            process.send_signal(sent[1])
            if status is None:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.3)
                process.kill()
            else:
                assert process.wait(10) == status
