"""One runner at a time in a run's folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

LOCKS = ".locks"
"""Folder beside the runs that holds an empty file for each; they stay, because removing a lock file is a race."""


class RunLock:
    """The lock of a run: ``flock`` on a file, which the kernel releases however its holder ends, by SIGKILL too.

    On a file system shared by several machines it holds where ``flock`` does (NFS 4, Lustre mounted with ``flock``).

    Args:
        runs: the folder of runs.
        name: the run's name.
    """

    def __init__(self, runs: Path, name: str) -> None:
        self.path = runs / LOCKS / name
        self.descriptor: int | None = None

    def __enter__(self) -> "RunLock":
        """Open the lock file; nothing is locked yet."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release; a process that was given the descriptor holds on until it ends."""
        assert self.descriptor is not None
        os.close(self.descriptor)
        self.descriptor = None

    def acquire(self, wait: bool) -> bool:
        """Lock the run.

        Args:
            wait: until another runner has let it go, however long that takes.

        Returns:
            whether it is locked; False only without ``wait``.
        """
        assert self.descriptor is not None
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
