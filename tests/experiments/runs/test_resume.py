"""A run that was killed, twice, and continued by the same command, equals one that never stopped."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

SETTINGS = {"trainer__val_check_interval": 10, "trainer__limit_val_batches": 1, "model__average_decay": 0.9}
SECONDS = 120


def has_row(path, step):
    return path.is_file() and any(line.startswith(f"{step},") for line in path.read_text().splitlines())


def kill_when(arguments, ready):
    """Start the real command and SIGKILL it as soon as ``ready()``."""
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "codeclab.experiments", "fit", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + SECONDS
        while not ready():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL


def states(folder):
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    compared = {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "global_step")}
    compared["best_score"] = next(
        s["best_score"] for name, s in checkpoint["callbacks"].items() if "RunCheckpoint" in name
    )
    return compared


@pytest.fixture(scope="module")
def single_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("single_thread")
def test_killed_twice_and_continued_equals_never_stopped(tiny, build, tmp_path, assert_equal_trees):
    """20 batches, killed right after the checkpoint of batch 10 appeared, and again a few batches later."""
    build("encodec_24khz", 20, name="whole", **SETTINGS).execute()
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    arguments = [*tiny("encodec_24khz", 20, **SETTINGS), f"--runs={tmp_path}", "--name=broken"]
    kill_when(arguments, (broken / "checkpoints" / "last.ckpt").is_file)
    assert states(broken)["global_step"] == 10
    metrics = broken / "metrics.csv"
    before = metrics.stat().st_mtime_ns  # the continued run cuts the rows after batch 10 first
    kill_when(arguments, lambda: metrics.stat().st_mtime_ns != before and has_row(metrics, 14))
    assert states(broken)["global_step"] == 10

    build("encodec_24khz", 20, name="broken", **SETTINGS).execute()
    assert_equal_trees(states(whole), states(broken))
    lines = metrics.read_text().splitlines()
    assert lines == (whole / "metrics.csv").read_text().splitlines()
    # One row a batch, and one more where it was validated.
    assert [int(line.split(",")[0]) for line in lines[1:]] == [*range(1, 11), 10, *range(11, 21), 20]
    saved = [(folder / "codec" / "model.safetensors").read_bytes() for folder in (whole, broken)]
    assert saved[0] == saved[1]


def test_more_steps_continue_a_finished_run(build, tmp_path, assert_equal_trees):
    """Also without validation, where checkpoints come right after a batch, and the run ends between two."""
    settings = {"trainer__val_check_interval": 4}
    build("dac_44khz", 6, name="whole", **settings).execute()
    build("dac_44khz", 3, name="parts", trainer__val_check_interval=4).execute()
    build("dac_44khz", 5, name="parts", **settings).execute()
    build("dac_44khz", 6, name="parts", **settings).execute()
    assert_equal_trees(states(tmp_path / "whole"), states(tmp_path / "parts"))
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "parts" / "metrics.csv").read_text()


def test_a_finished_run_is_left_alone(build, tmp_path):
    build("dac_44khz", 2).execute()
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = checkpoint.stat().st_mtime_ns
    build("dac_44khz", 2).execute()
    assert checkpoint.stat().st_mtime_ns == before
