"""One thing for a runner to make, its lock, and what became of it; it travels between processes as JSON."""

import ctypes
import fcntl
import json
import os
import platform
import re
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from codeclab.experiments.runs.folder import RunFolder


def slug(name: str) -> str:
    """A row's name as a folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@dataclass(frozen=True)
class Job:
    """One row of a table at one seed: trained where it has flags, then measured.

    Attributes:
        table: the table's name or path.
        row: the row's name.
        name: the run's name, under which it is locked, too.
        runs: the folder of runs.
        flags: arguments of ``codeclab fit``; empty for a row that is measured and not trained.
        scale: name of the scale; None is the recipes' own sizes.
        extra: those of the flags that go to every row.
        seed: which of the row's seeds, from 0.
        steps: batches to train.
        devices: how many it is trained on.
        parameters: number of the codec's weights.
        data: folder of audio; None is the synthetic corpus.
        workers: processes for ViSQOL.
    """

    table: str
    row: str
    name: str
    runs: str
    flags: tuple[str, ...] = ()
    scale: str | None = None
    extra: tuple[str, ...] = ()
    seed: int = 0
    steps: int = 0
    devices: int = 1
    parameters: int | None = None
    data: str | None = None
    workers: int = 2

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(Path(self.runs) / self.name)

    @property
    def evaluation(self) -> Path:
        """Where the figures of a trained row are kept: other tables measure the same run in other ways."""
        return self.folder.path / "tables" / f"{Path(self.table).stem}-{slug(self.row)}"

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.row} (seed {self.seed})" if self.seed else self.row

    @property
    def is_trained(self) -> bool:
        """Whether nothing is left to train: the last checkpoint and the codec are there."""
        folder = self.folder
        return folder.steps >= self.steps and (folder.codec / "config.json").is_file()

    def dump(self) -> str:
        """The job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Job":
        """What ``dump`` wrote."""
        content = json.loads(text)
        return cls(**content | {name: tuple(content[name]) for name in ("flags", "extra")})


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        error: why it failed, in one line; None where it is done.
        busy: another runner is making it, and this one did not wait.
    """

    error: str | None = None
    busy: bool = False

    def dump(self) -> str:
        """The outcome as JSON."""
        return json.dumps(asdict(self))


PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel tell this process to end (SIGTERM) when its parent ends, by SIGKILL too; Linux only."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


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
