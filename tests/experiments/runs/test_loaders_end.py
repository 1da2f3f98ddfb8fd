"""A run that fails leaves no process behind that would keep it from ending."""

import multiprocessing
import os
import signal
import time

import pytest

from codeclab.experiments.data.readers import ReaderDiedError, Readers


def test_a_fault_ends_the_loaders_too(build, tmp_path, monkeypatch):
    cli = build("dac_44khz", 50, data__workers=2, data__folder="recordings")

    def breaks(*_):
        assert len(multiprocessing.active_children()) == 2
        raise RuntimeError("broken")

    monkeypatch.setattr(cli.model, "training_step", breaks)
    with pytest.raises(RuntimeError, match="broken"):
        cli.execute()
    assert not multiprocessing.active_children()


def test_a_loader_that_was_killed_is_said_and_what_was_trained_is_kept(build, tmp_path, monkeypatch):
    cli = build("dac_44khz", 500, data__workers=1, data__folder="recordings")
    step, killed = cli.model.training_step, []

    def kills(batch, batch_idx):
        step(batch, batch_idx)
        if batch_idx == 3:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.2)  # the kernel tells of it in the middle of a batch

    monkeypatch.setattr(cli.model, "training_step", kills)
    with pytest.raises(ReaderDiedError) as ended:
        cli.execute()
    assert str(ended.value) == (
        f"a process that reads audio ({killed[0]}) is killed by signal: Killed: probably out of memory; "
        "lower --data.workers, as in --data.workers 1; the same command continues the run"
    )


def test_a_fault_that_speaks_of_a_loader_is_not_taken_for_a_dead_one(build, monkeypatch):
    cli = build("dac_44khz", 50, data__workers=1, data__folder="recordings")

    def breaks(*_):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    monkeypatch.setattr(cli.model, "training_step", breaks)
    with pytest.raises(RuntimeError, match="DataLoader worker") as ended:
        cli.execute()
    assert type(ended.value) is RuntimeError


@pytest.mark.parametrize(
    ("ends", "how"),
    [
        (lambda: os._exit(3), "exited unexpectedly with exit code 3"),
        (
            lambda: os.kill(os.getpid(), signal.SIGBUS),
            "is killed by signal: Bus error; often the shared memory is full",
        ),
    ],
)
def test_how_a_process_ended_is_known_from_its_exit_code(ends, how):
    readers = Readers()
    finished, dead = (readers.context.Process(target=target) for target in (int, ends))
    for process in (finished, dead):
        process.start()
        process.join()
    readers.look()
    assert f"a process that reads audio ({dead.pid}) {how}: probably out of memory" in readers.died
