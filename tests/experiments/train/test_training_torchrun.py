"""Two machines equal one with two devices: torchrun's agents of two nodes, both on this machine, and their run."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

STEPS = 6
SETTINGS = {"trainer__limit_val_batches": 1, "model__average_decay": 0.9, "data__sampling": "UniformByDuration"}


@pytest.fixture
def nodes(tiny, tmp_path):
    """``nodes(name, steps)``: the two agents of a training that was just started, and the files of their output."""
    started = []

    def start(name, steps):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            endpoint = f"localhost:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
        command += ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "-m", "codeclab.experiments", "fit"]
        command += [*tiny("encodec_24khz", steps, trainer__num_nodes=2, **SETTINGS), f"--runs={tmp_path}"]
        environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        logs = [tmp_path / f"{name}-{node}-of-{steps}.log" for node in range(2)]
        for log in logs:
            with log.open("w") as file:
                agent = subprocess.Popen(
                    [*command, f"--name={name}"], env=environment, stdout=file, stderr=file, start_new_session=True
                )
            started.append(agent)
        return started[-2:], logs

    yield start
    for agent in started:
        if agent.poll() is None:
            agent.terminate()  # it ends its worker, too, which is in a session of its own
    for agent in started:
        agent.wait(120)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def output(logs):
    return "".join(log.read_text() for log in logs)


def await_text(text, agents, logs):
    """Wait until one of the trainings has printed a text."""
    until = time.monotonic() + 300
    while text not in output(logs):
        assert time.monotonic() < until, output(logs)
        assert all(agent.poll() is None for agent in agents), output(logs)
        time.sleep(0.1)


@pytest.mark.slow
def test_two_machines_equal_two_devices(nodes, tmp_path, fit_on_two_devices):
    agents, logs = nodes("machines", STEPS)
    assert [agent.wait(300) for agent in agents] == [0, 0], output(logs)
    assert output(logs).count("machines is trained") == 1

    fit_on_two_devices("devices", STEPS, **SETTINGS)

    machines, devices = last(tmp_path / "machines"), last(tmp_path / "devices")
    assert machines["global_step"] == STEPS
    torch.testing.assert_close(machines["state_dict"], devices["state_dict"], rtol=0, atol=0)
    for name in ("metrics.csv", "codec/model.safetensors"):
        assert (tmp_path / "machines" / name).read_bytes() == (tmp_path / "devices" / name).read_bytes()


@pytest.mark.slow
def test_a_signal_to_one_machine_stops_both_and_the_same_commands_go_on(nodes, tmp_path):
    agents, logs = nodes("broken", 100_000)
    await_text("batch 10/", agents, logs)
    agents[1].send_signal(signal.SIGTERM)
    for agent in agents:
        agent.wait(120)
    assert output(logs).count("broken: stopped after batch") == 1
    stored = last(tmp_path / "broken")["global_step"]
    assert stored >= 10

    agents, logs = nodes("broken", 100_000)
    await_text(f"broken: continuing after batch {stored}", agents, logs)
