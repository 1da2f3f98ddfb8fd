"""A job for a runner, and its outcome; both travel between processes, pickled."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.folder import RunFolder


def slug(name: str) -> str:
    """A row's name as a folder's name; letters beyond ASCII are told apart by a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if all(character.isascii() or not character.isalnum() for character in name):
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


@dataclass(frozen=True, eq=False)
class Job:
    """One row of a table at one seed: trained where it has a config, then measured.

    It holds all that it needs: table, recipes and scale are not read again, even if they change.

    Attributes:
        spec: the table with this row only.
        name: the run's name, under which it is locked, too.
        runs: the folder of runs.
        config: the run's resolved settings; None for a row that is measured and not trained.
        seed: number of the row's seed, from 0.
        steps: batches to train.
        devices: number of devices it is trained on.
        parameters: number of the codec's weights.
        data: folder of audio; None is the synthetic corpus.
        clips: settings of ``AudioData`` that choose the clips of a row that is not trained.
        beside: runs of the table's rows: none of their training files is a test clip of a row that is not trained.
        imports: Python files with the metrics of a row that is not trained; those of a trained one are in ``config``.
        workers: processes for ViSQOL.
        language_model: recipe of the one that is trained on the run's codes; None trains none.
    """

    spec: TableSpec
    name: str
    runs: str
    config: dict[str, Any] | None = None
    seed: int = 0
    steps: int = 0
    devices: int = 1
    parameters: int | None = None
    data: str | None = None
    clips: dict[str, Any] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    workers: int = 2
    language_model: LanguageModelRecipe | None = None

    @property
    def row(self) -> RowSpec:
        """The row that is requested."""
        return self.spec.rows[0]

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(Path(self.runs) / self.name)

    @property
    def evaluation(self) -> Path:
        """Folder for the figures of a trained row; other tables may measure the same run in other ways."""
        return self.folder.path / "tables" / f"{self.spec.name}-{slug(self.row.name)}"

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.row.name} (seed {self.seed})" if self.seed else self.row.name

    @property
    def is_trained(self) -> bool:
        """Whether nothing is left to train: the last checkpoint and the codec are there."""
        folder = self.folder
        return folder.is_finished(self.steps) and (folder.codec / "config.json").is_file()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        error: reason why it failed, in one line; None where it is done.
        busy: another runner is making it, and this one did not wait.
    """

    error: str | None = None
    busy: bool = False
