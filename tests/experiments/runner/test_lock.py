"""The lock of a run, between processes."""

import signal
import subprocess
import sys
from pathlib import Path

from codeclab.experiments.runner.job import RunLock

HOLDER = """
import sys, pathlib
from codeclab.experiments.runner.job import RunLock

with RunLock(pathlib.Path(sys.argv[1]), "run") as lock:
    print(lock.acquire(wait=True), flush=True)
    sys.stdin.read()
"""


def holder(runs: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(runs)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_run_is_locked_until_its_holder_ends_by_sigkill_too(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        with RunLock(tmp_path, "run") as lock:
            assert not lock.acquire(wait=False)
        with RunLock(tmp_path, "another run") as lock:
            assert lock.acquire(wait=False)
        other.send_signal(signal.SIGKILL)
        with RunLock(tmp_path, "run") as lock:
            assert lock.acquire(wait=True)
            assert other.wait() == -signal.SIGKILL
    with RunLock(tmp_path, "run") as lock:
        assert lock.acquire(wait=False)


def test_a_process_that_was_given_the_lock_holds_on_to_it(tmp_path: Path) -> None:
    with RunLock(tmp_path, "run") as lock:
        assert lock.acquire(wait=False)
        assert lock.descriptor is not None
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        heir = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[lock.descriptor])
    with RunLock(tmp_path, "run") as lock:
        assert not lock.acquire(wait=False)
        heir.communicate()
        assert lock.acquire(wait=False)
