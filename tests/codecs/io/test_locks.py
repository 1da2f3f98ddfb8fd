"""A lock between processes: who holds it, who may take it over."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codeclab.codecs.io import locks
from codeclab.codecs.io.locks import Holder, Lock, LockedError

HOLDER = """
import sys, pathlib
from codeclab.codecs.io.locks import Lock

with Lock(pathlib.Path(sys.argv[1])) as lock:
    print(lock.acquire(wait=True), flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_who_holds_it_is_said_and_a_dead_holders_lock_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "run"
    with holder(path) as other:
        with Lock(path) as lock, pytest.raises(LockedError) as refused:
            lock.hold("runs/run", "choose another --name")
        about = lock.holder
        assert about is not None
        assert (about.process, about.host) == (other.pid, os.uname().nodename)
        assert time.time() - time.mktime(time.strptime(about.since, "%Y-%m-%d %H:%M:%S")) < 60
        assert str(refused.value) == (
            f"runs/run is in use by process {other.pid} on {about.host} since {about.since} (codeclab {path}); "
            "wait for it, or choose another --name"
        )
        with Lock(path.with_name("another")) as free:
            assert free.acquire()
        other.send_signal(signal.SIGKILL)
        other.wait()
        with Lock(path) as lock:
            assert lock.acquire()
            assert lock.holder is not None
            assert lock.holder.process == os.getpid()
    assert not path.exists()


def test_waiting_ends_when_the_holder_lets_go(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as other, Lock(tmp_path / "run") as lock:
        assert not lock.acquire()
        assert other.stdin is not None
        other.stdin.close()
        assert lock.acquire(wait=True)


def test_a_process_may_take_what_it_holds_again_and_lets_go_once_for_each(tmp_path: Path) -> None:
    with Lock(tmp_path / "run") as outer:
        assert outer.acquire()
        with Lock(tmp_path / "run") as inner:
            assert inner.acquire()
        with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdin=subprocess.PIPE) as other:
            assert outer.holder is not None
            assert outer.holder.process == os.getpid()
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.5)
            other.kill()


def test_a_holder_on_another_machine_is_dead_after_a_lease_without_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LEASE", 0.5)
    with Lock(tmp_path / "run") as here:
        assert here.acquire()
        there = (tmp_path / "run").read_text().replace(f"host={os.uname().nodename}", "host=node7")
    (tmp_path / "run").write_text(there)  # as if written there, where this machine can ask for no process
    with Lock(tmp_path / "run") as lock:
        assert not lock.acquire()
        assert lock.holder == Holder(os.getpid(), "node7")
        os.utime(tmp_path / "run", (time.time() - 100, time.time() - 100))
        assert lock.acquire()


def test_a_holder_that_left_no_words_is_named_by_process_and_host(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as other:
        (tmp_path / "run.holder").write_text(json.dumps({"process": 1, "host": "elsewhere"}))
        assert str(Lock(tmp_path / "run").holder) == f"process {other.pid} on {os.uname().nodename}"
        assert other.stdin is not None
        other.stdin.close()
