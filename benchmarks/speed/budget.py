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
"""Seconds below which a part is not begun."""


class OutOfTimeError(RuntimeError):
    """A program was stopped at its limit."""


@dataclass(frozen=True)
class Part:
    """One of the tasks.

    Attributes:
        name: name of the task.
        work: function of the seconds that it may take, to which it keeps by itself.
        seconds: longest time in seconds.
        reserve: time in seconds that is left to the parts after it.
    """

    name: str
    work: Callable[[float], None]
    seconds: float = float("inf")
    reserve: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        name: name of the part.
        seconds: time that it took, in seconds.
        failure: reason why the result is missing or not whole; empty where it is whole.
    """

    name: str
    seconds: float
    failure: str = ""


def run_parts(
    parts: Sequence[Part],
    seconds: float,
    keep: Callable[[Sequence[Outcome]], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Do the tasks one after another; a later part may take what the earlier ones left.

    Args:
        parts: tasks, the most important first.
        seconds: time for all of them in seconds.
        keep: function of all outcomes so far, called after each part.
        clock: function that gives the time in seconds, ever growing.
    """
    end = clock() + seconds
    outcomes: list[Outcome] = []
    for part in parts:
        began = clock()
        given = min(part.seconds, end - began - part.reserve)
        failure = "" if given >= min(LEAST, part.seconds) else f"left out: {max(given, 0.0):.0f} s were left for it"
        if not failure:
            try:
                part.work(given)
            except Exception as error:  # whatever it is, the other parts go on
                failure = f"{type(error).__name__}: {error}"
        outcomes.append(Outcome(part.name, clock() - began, failure))
        keep(outcomes)
    return outcomes


def run_command(
    words: Sequence[str],
    seconds: float,
    log: Path,
    environment: Mapping[str, str] | None = None,
    grace: float = 2.0,
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
