"""Locks with a named holder, between processes and between machines that share a file system."""

import json
import os
import shlex
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import SoftFileLease, Timeout

from codeclab.codecs.io.files import write_atomically

LEASE = 60.0
"""Seconds without a heartbeat after which a holder on another machine counts as dead."""

POLL = 0.2


class LockedError(ValueError):
    """Another process holds the lock; the message names it."""


@dataclass(frozen=True)
class Holder:
    """The holder of a lock.

    Attributes:
        process: process id.
        host: name of the machine.
        since: local time of the holder when it took the lock, to the second; empty if unknown.
        command: command line of the holder; empty if unknown.
    """

    process: int
    host: str
    since: str = ""
    command: str = ""

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"process {self.process} on {self.host}{since}" + (f" ({self.command})" if self.command else "")


class Lock:
    """A file that exists while the lock is held, with the holder's process, host and a heartbeat; see ``filelock``.

    It needs no kernel lock, which some network file systems lack. The holder creates the file exclusively, touches it
    regularly and removes it. The lock of a dead process is taken over: at once on the same machine, and after ``LEASE``
    seconds without a heartbeat from another machine. The lock is reentrant within a process.

    Args:
        path: path of the lock file.
    """

    _held: dict[Path, tuple[SoftFileLease, int]] = {}

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        self._mine = 0

    def __enter__(self) -> "Lock":
        """Return the lock, which is not acquired yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.release()

    @property
    def holder(self) -> Holder | None:
        """The holder; None if the lock is free."""
        owner = SoftFileLease(self.path, lease_duration=LEASE).owner
        if owner is None:
            return None
        known: dict[str, str] = {}
        with suppress(OSError, ValueError):
            known = json.loads(self._about.read_text())
        host = owner.hostname.partition("?")[0]
        if known.get("process") != owner.pid or known.get("host") != host:
            return Holder(owner.pid, host)
        return Holder(**known)  # type: ignore[arg-type]

    @property
    def _about(self) -> Path:
        return self.path.with_name(f"{self.path.name}.holder")

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock.

        Args:
            wait: whether to wait, without a time limit, until the lock is free.

        Returns:
            whether the lock was acquired; False only without ``wait``.
        """
        if self.path in self._held:
            lease, count = self._held[self.path]
            self._held[self.path] = lease, count + 1
            self._mine += 1
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lease = SoftFileLease(self.path, lease_duration=LEASE, thread_local=False)
        try:
            lease.acquire(timeout=-1 if wait else self._patience(), poll_interval=POLL)
        except Timeout:
            return False
        self._held[self.path] = lease, 1
        self._mine += 1
        owner = lease.owner
        host = owner.hostname.partition("?")[0] if owner else ""
        since = datetime.now().replace(microsecond=0).isoformat(sep=" ")
        command = shlex.join(["codeclab", *sys.argv[1:]])
        write_atomically(self._about, json.dumps(asdict(Holder(os.getpid(), host, since, command[:200]))))
        return True

    def _patience(self) -> float:
        """Seconds to wait for a heartbeat: more than ``LEASE`` if the last one is that old, otherwise none."""
        with suppress(OSError):
            if time.time() - self.path.stat().st_mtime > LEASE:
                return LEASE + 2 * POLL
        return 0.0

    def hold(self, what: str, instead: str = "") -> "Lock":
        """Take the lock, or raise an error that names its holder.

        Args:
            what: name of what is locked, for the message.
            instead: alternative to waiting, for the message.

        Raises:
            LockedError: another process holds the lock.
        """
        if not self.acquire():
            advice = f"wait for it{f', or {instead}' if instead else ''}"
            raise LockedError(f"{what} is in use by {self.holder or 'another process'}; {advice}")
        return self

    def release(self) -> None:
        """Release the lock, as often as it was acquired through this object."""
        while self._mine:
            self._mine -= 1
            lease, count = self._held.pop(self.path)
            if count > 1:
                self._held[self.path] = lease, count - 1
                continue
            self._about.unlink(missing_ok=True)
            lease.release()
