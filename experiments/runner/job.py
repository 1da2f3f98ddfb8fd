"""One thing for a runner to make, and what became of it; it travels between processes as JSON."""

import ctypes
import json
import platform
import re
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

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
        return folder.is_finished(self.steps) and (folder.codec / "config.json").is_file()

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
