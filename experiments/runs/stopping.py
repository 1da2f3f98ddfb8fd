"""Signals that stop a command: work that must not be interrupted ends first, and the exit status gives the signal."""

import ctypes
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType

BY_USER = (signal.SIGINT, signal.SIGTERM)
"""Signals of which a second one ends the process at once."""

REQUEUE = signal.SIGUSR1
"""The signal that Slurm sends before the time is up (``#SBATCH --signal=USR1@90``)."""

PASSED_ON = signal.SIGUSR2
"""The signal by which a table stops its processes. It is separate, because a scheduler may also signal all of them."""

SHOW_CURSOR = "\x1b[?25h"


class Stopped(SystemExit):
    """A command that was requested to stop; the exit status is 128 and the signal's number, as shells have it.

    Args:
        number: number of the signal.
        reported: whether the user already knows what was saved.
    """

    def __init__(self, number: int, reported: bool = False) -> None:
        super().__init__(128 + number)
        self.number = number
        self.reported = reported


class Stop:
    """The stop request of this process.

    Attributes:
        number: number of the first signal; None where none came.
        on_stop: function called with each signal's number, from the handler; a table passes it on to its processes.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.on_stop: Callable[[int], None] | None = None
        self._held = 0
        self._by_user = 0

    @contextmanager
    def held(self) -> Iterator["Stop"]:
        """Only record a signal inside the block, for work that itself checks ``number`` where it can stop."""
        self._held += 1
        try:
            yield self
        finally:
            self._held -= 1

    @contextmanager
    def passed_on(self, send: Callable[[int], None]) -> Iterator[None]:
        """Pass signals received inside the block on to child processes; ``send`` gets the signal's number."""
        before, self.on_stop = self.on_stop, send
        try:
            yield
        finally:
            self.on_stop = before

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of all these signals.

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
    """End this process without further output, with the terminal's cursor visible again."""
    with suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(128 + number)


# Between a command and Lightning's callbacks lie many calls that have nothing to do with signals, some of them
# Lightning's own; the request goes past them in the context and is not an argument of each.
_listening: ContextVar[Stop] = ContextVar("stop request of the command that listens")


def stop_request() -> Stop:
    """The stop request of the innermost ``listening`` around the caller; one that never comes where none is."""
    return _listening.get(None) or Stop()


@contextmanager
def listening() -> Iterator[Stop]:
    """Listen to the stop signals while the block runs; only in the main thread, as Python requires."""
    stop = Stop()
    numbers = [*BY_USER, REQUEUE, PASSED_ON] if threading.current_thread() is threading.main_thread() else []
    handlers = {number: signal.signal(number, stop.handle) for number in numbers}
    token = _listening.set(stop)
    try:
        yield stop
    finally:
        _listening.reset(token)
        for number, handler in handlers.items():
            signal.signal(number, handler)


PR_SET_PDEATHSIG = 1


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent ends, by SIGKILL too; Linux only."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def requeue() -> None:
    """Ask Slurm to run this job again, as its signal means; prints a note if that fails."""
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
