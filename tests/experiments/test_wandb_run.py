"""A run's W&B log: offline, in the run's folder, one run however often it is continued."""

import socket

import pytest


def offline_runs(folder):
    """Ids of the W&B runs logged in a run's folder; each continuation has a log of its own."""
    return {path.name.rsplit("-", 1)[1] for path in folder.glob("wandb/offline-run-*")}


def test_runs_log_offline_into_their_own_folders(build, tmp_path, monkeypatch):
    """Rows of a table train in one process: each has its own W&B run, and a continued one keeps its id."""
    pytest.importorskip("wandb")
    asked, connect = [], socket.socket.connect

    def refuse(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            asked.append(address)
            raise OSError("no network in this test")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name, steps in (("a", 2), ("b", 2), ("a", 3)):
        cli = build("encodec_24khz", steps, name=name, wandb="offline", trainer__val_check_interval=1)
        assert len(cli.trainer.loggers) == 2
        cli.execute()
    (first,) = offline_runs(tmp_path / "a")
    (other,) = offline_runs(tmp_path / "b")
    assert first != other
    assert asked == []


def test_disabled_means_no_log(build, tmp_path):
    cli = build("encodec_24khz", 1)
    cli.execute()
    assert len(cli.trainer.loggers) == 1
    assert not (tmp_path / "run" / "wandb").exists()
