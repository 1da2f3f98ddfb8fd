"""Locks that say who holds them: between processes, and between machines that share a file system."""

import json
import os
import shlex
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from filelock import SoftFileLease, Timeout

from codeclab.codecs.io.files import write_atomically

LEASE = 60.0
"""Seconds without a sign of life after which a holder on another machine is taken for dead."""

POLL = 0.2


class LockedError(ValueError):
    """Somebody else is at work on the same thing; the message says who."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        process: its number.
        host: the machine's name.
        since: local time there, to the second; empty where it is not known.
        command: what was typed; empty where it is not known.
    """

    process: int
    host: str
    since: str = ""
    command: str = ""

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"process {self.process} on {self.host}{since}" + (f" ({self.command})" if self.command else "")


class Lock:
    """A file that exists while somebody holds the lock, with his process, host and a heartbeat; see ``filelock``.

    No kernel lock is asked for, which network file systems do not all have: the file is created exclusively, touched
    while its holder lives, and removed by him. One whose process is dead is taken over: at once on the same machine,
    after ``LEASE`` seconds without a heartbeat from another one. A process may take a lock that it holds once more.

    Args:
        path: the file.
    """

    _held: dict[Path, tuple[SoftFileLease, int]] = {}

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        self._mine = 0

    def __enter__(self) -> "Lock":
        """Nothing is locked yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release."""
        self.release()

    @property
    def holder(self) -> Holder | None:
        """Who holds it; None where nobody does."""
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
            wait: until whoever holds it has let it go, however long that takes.

        Returns:
            whether it is held now; False only without ``wait``.
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
        """Seconds to look for a sign of life: some where a holder that cannot be asked has given none for long."""
        with suppress(OSError):
            if time.time() - self.path.stat().st_mtime > LEASE:
                return LEASE + 2 * POLL
        return 0.0

    def hold(self, what: str, instead: str = "") -> "Lock":
        """Take the lock, or say who has it.

        Args:
            what: is locked, for the message.
            instead: what the user can do but wait.

        Raises:
            LockedError: somebody else holds it.
        """
        if not self.acquire():
            advice = f"wait for it{f', or {instead}' if instead else ''}"
            raise LockedError(f"{what} is in use by {self.holder or 'another process'}; {advice}")
        return self

    def release(self) -> None:
        """Let it go, as often as it was taken here."""
        while self._mine:
            self._mine -= 1
            lease, count = self._held.pop(self.path)
            if count > 1:
                self._held[self.path] = lease, count - 1
                continue
            self._about.unlink(missing_ok=True)
            lease.release()
