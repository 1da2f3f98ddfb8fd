"""A run on two processes, one of which gets a stop signal: both end after the same batch, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

STEPS = 6
ASKS = """
import os
import signal
from pathlib import Path

from lightning.pytorch.callbacks import Callback


class AsksToStop(Callback):
    def __init__(self, rank: int, after: int, note: str) -> None:
        self.rank, self.after, self.note = rank, after, Path(note)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        line = f"{trainer.global_rank} {os.getpid()} {trainer.global_step}\\n"
        with self.note.open("a") as file:
            file.write(line)
        if trainer.global_rank == self.rank and trainer.global_step == self.after:
            os.kill(os.getpid(), signal.SIGTERM)
"""


def is_there(pid: int) -> bool:
    """Whether a process lives, zombies not counted."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def fit(tiny, tmp_path):
    """``fit(name, rank)``: the real command on two processes; the one of that rank gets a stop signal in batch 3."""
    (tmp_path / "asks.py").write_text(ASKS)
    settings = {"trainer__limit_val_batches": 1, "trainer__devices": 2, "data__sampling": "UniformByDuration"}

    def run(name, rank):
        note = tmp_path / f"{name}.txt"
        callback = {"class_path": "asks.AsksToStop", "init_args": {"rank": rank, "after": 2, "note": str(note)}}
        words = [*tiny("encodec_24khz", STEPS, **settings), f"--runs={tmp_path}", f"--name={name}"]
        words += [f"--trainer.callbacks={json.dumps([callback])}"]
        environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(
            [str(tmp_path), *sys.path])}  # fmt: skip
        command = [sys.executable, "-m", "codeclab.experiments", "fit", *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        lines = [line.split() for line in note.read_text().splitlines()]
        return ended, [(int(rank), int(pid), int(step)) for rank, pid, step in lines]

    return run


def last(tmp_path, name):
    return torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1], ids=["the launcher", "the other process"])
def test_both_processes_end_after_the_same_batch_and_the_same_command_goes_on(fit, tmp_path, rank):
    whole, _ = fit("whole", -1)
    assert whole.returncode == 0, whole.stderr
    stopped, begun = fit("broken", rank)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert stopped.stderr.count("broken: stopped after batch 3; the same command continues it") == 1
    assert sorted((rank, step) for rank, _, step in begun) == [(rank, step) for rank in (0, 1) for step in range(3)]
    until = time.monotonic() + 60
    while any(is_there(pid) for _, pid, _ in begun) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for _, pid, _ in begun if is_there(pid)]
    assert last(tmp_path, "broken")["global_step"] == 3

    continued, begun = fit("broken", rank)  # whose third batch is done
    assert continued.returncode == 0, continued.stderr
    assert sorted(step for rank, _, step in begun if rank == 1) == list(range(STEPS))
    before, after = last(tmp_path, "whole"), last(tmp_path, "broken")
    assert after["global_step"] == STEPS
    torch.testing.assert_close(after["state_dict"], before["state_dict"], rtol=0, atol=0)
    assert (tmp_path / "broken" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
