"""Signals that ask a command to stop: what must not break off ends first, and the exit status says who asked."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

BY_USER = (signal.SIGINT, signal.SIGTERM)
"""Signals of which a second one ends the process at once."""

REQUEUE = signal.SIGUSR1
"""What Slurm is told to send before the time is up (``#SBATCH --signal=USR1@90``)."""

PASSED_ON = signal.SIGUSR2
"""How a table tells its processes to stop. It counts apart, because a scheduler may tell all of them itself, too."""

SHOW_CURSOR = "\x1b[?25h"


class Stopped(SystemExit):
    """A command that was asked to stop; the exit status is 128 and the signal's number, as shells have it.

    Args:
        number: of the signal.
        told: whether the user knows by now what was kept.
    """

    def __init__(self, number: int, told: bool = False) -> None:
        super().__init__(128 + number)
        self.number = number
        self.told = told


class Stop:
    """What this process was asked.

    Attributes:
        number: of the first signal; None where none came.
        on_stop: called with each signal's number, from the handler; a table passes it on to its processes.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.on_stop: Callable[[int], None] | None = None
        self._held = 0
        self._by_user = 0

    @contextmanager
    def held(self) -> Iterator["Stop"]:
        """Only note a signal inside, for work that asks by itself (``number``) where it can break off."""
        self._held += 1
        try:
            yield self
        finally:
            self._held -= 1

    @contextmanager
    def passed_on(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Pass on what is heard inside to processes that work for this one; ``tell`` gets the signal's number."""
        before, self.on_stop = self.on_stop, tell
        try:
            yield
        finally:
            self.on_stop = before

    def hear(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of every signal listened to.

        Raises:
            Stopped: at the first signal, unless the work holds it back.
        """
        self._by_user += number in BY_USER
        if self._by_user > 1 and number in BY_USER:
            if self.on_stop is not None:
                self.on_stop(signal.SIGKILL)
            end_at_once(number)
        first = self.number is None
        self.number = self.number if self.number is not None else number
        if first and self.on_stop is not None:
            self.on_stop(PASSED_ON)
        if first and not self._held:
            raise Stopped(number)


def end_at_once(number: int) -> None:
    """End this process without another line of it, the terminal's cursor shown again."""
    with suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(128 + number)


_stop = Stop()


def asked() -> Stop:
    """What this process was asked; a process that does not listen is asked nothing."""
    return _stop


@contextmanager
def listening() -> Iterator[Stop]:
    """Listen to the signals that ask to stop, while the block runs; in the main thread alone, as Python has it."""
    global _stop
    before, _stop = _stop, Stop()
    numbers = [*BY_USER, REQUEUE, PASSED_ON] if threading.current_thread() is threading.main_thread() else []
    handlers = {number: signal.signal(number, _stop.hear) for number in numbers}
    try:
        yield _stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _stop = before


def requeue() -> None:
    """Ask Slurm to run this job again, as its signal means; says where it cannot."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        problem = str(error)
    print(f"Slurm runs job {job} again" if not problem else f"Slurm does not run it again: {problem}", file=sys.stderr)
