"""A run that fails leaves no process behind that would keep it from ending."""

import multiprocessing
import os
import signal
import time

import pytest

from codeclab.experiments.cli.fit import loader_died


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
    step = cli.model.training_step

    def kills(batch, batch_idx):
        step(batch, batch_idx)
        if batch_idx == 3:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            time.sleep(0.2)  # the kernel tells of it in the middle of a batch

    monkeypatch.setattr(cli.model, "training_step", kills)
    with pytest.raises(RuntimeError) as ended:
        cli.execute()
    said = loader_died(ended.value)
    assert "a process that reads audio" in said
    assert ": often memory has run out" in said
    assert ". :" not in said
