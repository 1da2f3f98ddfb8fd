"""The processes that read audio for a loader, and how those that died ended."""

import copy
import multiprocessing
import signal
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

SHARED_MEMORY = "; often the shared memory is full"
"""Cause of a bus error in a process that hands over tensors."""


class ReaderDiedError(RuntimeError):
    """A process that reads audio ended although nobody told it to; the message says how."""


class Readers:
    """Starts the processes of loaders, and knows how they ended.

    Attributes:
        context: multiprocessing's default one, with ``start`` in place of its ``Process``; for ``DataLoader``.
        died: a message on the processes that had died when ``look`` was called; empty if none had.
    """

    def __init__(self) -> None:
        self._start = multiprocessing.get_context().Process
        self._started: list[BaseProcess] = []
        self.context: BaseContext = copy.copy(multiprocessing.get_context())
        setattr(self.context, "Process", self.start)  # noqa: B010
        self.died = ""

    def start(self, *args: Any, **kwargs: Any) -> BaseProcess:
        """A process, as the context makes it, that is remembered until it ends."""
        process = self._start(*args, **kwargs)
        self._started = [one for one in self._started if one.exitcode is None] + [process]
        return process

    def look(self) -> None:
        """Note which processes have died: before the others are ended, too."""
        dead = [process for process in self._started if process.exitcode]
        if not dead:
            return
        pids = ", ".join(str(process.pid) for process in dead)
        self.died = (
            f"a process that reads audio ({pids}) {_end(int(dead[0].exitcode or 0))}: probably out of memory; lower "
            "--data.workers, as in --data.workers 1; the same command continues the run"
        )


def _end(code: int) -> str:
    """How a process of an exit code ended; a negative one is a signal's."""
    if code > 0:
        return f"exited unexpectedly with exit code {code}"
    shared = SHARED_MEMORY if -code == signal.SIGBUS else ""
    return f"is killed by signal: {signal.strsignal(-code)}{shared}"
