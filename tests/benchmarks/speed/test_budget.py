"""Parts share a time: what one does not take is left to the next, and one that fails takes no result from another."""

import sys
import time

import pytest

from codeclab.benchmarks.speed.budget import OutOfTimeError, Task, run_command, run_tasks


class Clock:
    """Moves on when a work says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.given: list[tuple[str, float]] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, takes: float):
        def run(seconds: float) -> None:
            self.given.append((name, seconds))
            self.now += min(takes, seconds)
            if takes > seconds:
                raise OutOfTimeError(f"stopped after {seconds:.0f} s")

        return run


def test_each_part_has_its_limit_and_later_ones_get_what_is_left() -> None:
    clock = Clock()
    parts = [
        Task("quick", clock.work("quick", 20), seconds=60, reserve=300),
        Task("endless", clock.work("endless", 1e9), seconds=60, reserve=300),
        Task("kept short", clock.work("kept short", 400), reserve=320),
        Task("no time", clock.work("no time", 1), reserve=315),
        Task("last", clock.work("last", 1e9)),
    ]
    saved: list[int] = []
    outcomes = run_tasks(parts, 500, lambda done: saved.append(len(done)), clock)
    assert clock.given == [("quick", 60), ("endless", 60), ("kept short", 100), ("last", 320)]
    assert [one.seconds for one in outcomes] == [20, 60, 100, 0, 320]
    assert [one.failure for one in outcomes] == [
        "",
        "OutOfTimeError: stopped after 60 s",
        "OutOfTimeError: stopped after 100 s",
        "left out: 5 s were left for it",
        "OutOfTimeError: stopped after 320 s",
    ]
    assert saved == [1, 2, 3, 4, 5]
    assert clock.now == 600


def test_a_part_that_fails_leaves_the_others() -> None:
    done: list[str] = []

    def fail(seconds: float) -> None:
        raise KeyError("batch")

    parts = [Task("a", lambda s: done.append("a")), Task("b", fail), Task("c", lambda s: done.append("c"))]
    outcomes = run_tasks(parts, 60, lambda so_far: None)
    assert done == ["a", "c"]
    assert [one.failure for one in outcomes] == ["", "KeyError: 'batch'", ""]


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path) -> None:
    log, marker = tmp_path / "log.txt", tmp_path / "alive"
    child = f"import pathlib, time; time.sleep(4); pathlib.Path({str(marker)!r}).touch()"
    program = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); print('begun', flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(OutOfTimeError, match="stopped after 2 s"):
        run_command([sys.executable, "-c", program], 2.0, log, grace=0.2)
    assert time.monotonic() - began < 30
    assert log.read_text() in ("begun\n", "")  # empty where even the start took two seconds
    time.sleep(max(0.0, began + 7 - time.monotonic()))
    assert not marker.exists()


def test_a_program_that_keeps_what_it_has_when_asked_has_the_time_for_it(tmp_path) -> None:
    saved, begun = tmp_path / "kept", tmp_path / "begun"
    program = (
        "import pathlib, signal, sys, time\n"
        f"def stop(*given):\n    time.sleep(0.2)\n    pathlib.Path({str(saved)!r}).touch()\n    sys.exit(143)\n"
        f"signal.signal(signal.SIGTERM, stop)\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)"
    )
    with pytest.raises(OutOfTimeError):
        run_command([sys.executable, "-c", program], 6.0, tmp_path / "log.txt", grace=1.5)
    assert saved.exists() == begun.exists()


def test_a_program_that_fails_says_so_with_its_own_last_line(tmp_path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("of the part before\n")
    with pytest.raises(RuntimeError, match="exit status 3: no such recipe"):
        run_command([sys.executable, "-c", "import sys; print('no such recipe\\n'); sys.exit(3)"], 60, log)
    with pytest.raises(RuntimeError, match="exit status 4: nothing was printed"):
        run_command([sys.executable, "-c", "import sys; sys.exit(4)"], 60, log)
    run_command([sys.executable, "-c", "import os; print(os.environ['HERE'])"], 60, log, {"HERE": "seen"})
    assert log.read_text().splitlines() == ["of the part before", "no such recipe", "", "seen"]
