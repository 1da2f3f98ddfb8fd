"""Tasks that share a limited time: each has its own limit, and one that fails leaves the others theirs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEAST = 10.0
"""Seconds below which a task is not begun."""


class OutOfTimeError(RuntimeError):
    """A program was stopped at its limit."""


@dataclass(frozen=True)
class Task:
    """A task with its limit.

    Attributes:
        name: name of the task.
        run: function of the seconds that it may take, which keeps to them by itself.
        seconds: longest time in seconds.
        reserve: time in seconds that is left to the tasks after it.
    """

    name: str
    run: Callable[[float], None]
    seconds: float = float("inf")
    reserve: float = 0.0


@dataclass(frozen=True)
class TaskOutcome:
    """The outcome of a task.

    Attributes:
        name: name of the task.
        seconds: time that it took, in seconds.
        failure: reason why the result is missing or not whole; empty where it is whole.
    """

    name: str
    seconds: float
    failure: str = ""


def run_tasks(
    tasks: Sequence[Task],
    seconds: float,
    report: Callable[[Sequence[TaskOutcome]], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[TaskOutcome]:
    """Do the tasks one after another; a later one may take what the earlier ones left.

    Args:
        tasks: tasks to run, the most important first.
        seconds: time for all of them in seconds.
        report: function of all outcomes so far, called after each task.
        clock: function that gives the time in seconds, ever growing.
    """
    end = clock() + seconds
    outcomes: list[TaskOutcome] = []
    for task in tasks:
        began = clock()
        limit = min(task.seconds, end - began - task.reserve)
        failure = "" if limit >= min(LEAST, task.seconds) else f"left out: {max(limit, 0.0):.0f} s were left for it"
        if not failure:
            try:
                task.run(limit)
            except Exception as error:  # whatever it is, the other tasks go on
                failure = f"{type(error).__name__}: {error}"
        outcomes.append(TaskOutcome(task.name, clock() - began, failure))
        report(outcomes)
    return outcomes


def run_command(
    words: Sequence[str], seconds: float, log: Path, environment: Mapping[str, str] | None = None, grace: float = 2.0
) -> None:
    """Run a program. At its limit, it is asked to stop, and ended with its children if it does not.

    Args:
        words: words of the command line.
        seconds: time that it may take, stopping included, in seconds.
        log: file that its output is appended to.
        environment: variables beside those of this process.
        grace: part of ``seconds`` in which a program that is asked to stop may save its results.

    Raises:
        OutOfTimeError: it was stopped.
        RuntimeError: its exit status is not 0; the message has the last line that it printed.
    """
    grace = min(grace, seconds / 4)
    start = log.stat().st_size if log.exists() else 0
    with log.open("a") as output:
        program = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        stopped = False
        try:
            program.wait(seconds - grace)
        except subprocess.TimeoutExpired:
            stopped = True
            program.terminate()
            with suppress(subprocess.TimeoutExpired):
                program.wait(grace)
        finally:
            with suppress(ProcessLookupError):  # children that outlived it, or itself
                os.killpg(program.pid, signal.SIGKILL)
            status = program.wait()
    if stopped:
        raise OutOfTimeError(f"stopped after {seconds:.0f} s")
    if status:
        with log.open(errors="replace") as written:
            written.seek(start)
            lines = written.read().split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was printed")
        raise RuntimeError(f"exit status {status}: {last}")
