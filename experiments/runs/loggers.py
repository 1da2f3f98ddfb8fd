"""The loggers of a run: ``metrics.csv`` always, W&B if it is installed."""

import csv
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.tracking.describe_run import describe_run
from codeclab.experiments.tracking.wandb_run import RunWandb, is_wanted

OF_THE_MACHINE = "speed/"
"""Prefixes of the machine's figures, left out of ``metrics.csv`` so that the same run writes the same file."""


class MetricsCSV(Logger):
    """One row per logged step in ``metrics.csv``; a continued run appends, after cutting rows later than its start.

    Args:
        path: the CSV file.
        start: batches already done; rows of later steps are cut. None learns it from the first step that is logged.
        validates: whether the validation at that batch is done again; then its row is cut, too.
    """

    def __init__(self, path: Path | str, start: int | None = None, validates: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        self.columns = ["step"]
        self._waiting: list[dict[str, str]] = []
        self._is_open = False
        if start is not None and getattr(rank_zero_only, "rank", 0) == 0:
            self._open(start, validates)

    def _open(self, start: int, validates: bool = False) -> None:
        """Cut the rows after a step, and be ready to append."""
        rows: list[dict[str, str]] = []
        columns = self.columns
        if self.path.is_file():
            with self.path.open(newline="") as file:
                reader = csv.DictReader(file)
                columns = list(reader.fieldnames or ["step"])
                rows = [row for row in reader if (row["step"] or "").isdigit() and int(row["step"]) <= start]
            if validates:
                rows = [row for row in rows if int(row["step"]) < start or not _is_validation(row)]
        self._rewrite(rows, columns)
        self._is_open = True

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """A run has one metrics file."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder of the file."""
        return str(self.path.parent)

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        write_atomically(self.path, ",".join(columns) + "\n" + _lines(rows, columns))
        self.columns = columns

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row; a metric seen for the first time gets a column.

        If the disk is full, rows wait until there is space.
        """
        row = {"step": str(step if step is not None else 0)}
        logged = {key: value for key, value in metrics.items() if not key.startswith(OF_THE_MACHINE)}
        row |= {key: f"{float(value):.8g}" for key, value in logged.items() if key != "epoch"}
        if len(row) == 1:
            return
        if not self._is_open:
            self._open(int(row["step"]) - 1)
        self._waiting.append(row)
        try:
            self._append()
        except OSError as error:
            if len(self._waiting) == 1:
                print(f"{self.path} cannot be written ({error.strerror}); its rows wait", file=sys.stderr)
        else:
            self._waiting.clear()

    def _append(self) -> None:
        new = dict.fromkeys(key for row in self._waiting for key in row if key not in self.columns)
        if new:
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            self._rewrite([*rows, *self._waiting], [*self.columns, *new])
            return
        size = self.path.stat().st_size
        try:
            with self.path.open("a") as file:
                file.write(_lines(self._waiting, self.columns))
        except OSError:
            os.truncate(self.path, size)  # of a row that went in half, nothing stays
            raise

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The config is in ``config.yaml``."""


def _lines(rows: list[dict[str, str]], columns: list[str]) -> str:
    return "".join(",".join(row.get(column) or "" for column in columns) + "\n" for row in rows)


def _is_validation(row: Mapping[str, str]) -> bool:
    return any(value for key, value in row.items() if key.startswith("valid/"))


class SaveMetrics(Callback):
    """Makes any trainer write its logs to ``metrics.csv``; a continued training appends to it.

    Args:
        folder: the run's, made where it is missing.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = RunFolder(Path(folder)).metrics

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Add the logger."""
        if stage == "fit" and not any(isinstance(logger, MetricsCSV) for logger in trainer.loggers):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            trainer.loggers = [*trainer.loggers, MetricsCSV(self.path)]


def make_loggers(
    folder: RunFolder,
    config: dict[str, Any],
    start: int,
    recipe: str = "",
    scale: str | None = None,
    validates: bool = False,
) -> list[Logger]:
    """The loggers of a run that continues after ``start`` batches; W&B first, so that it is ``trainer.logger``.

    Args:
        folder: folder of the run.
        config: resolved settings of the run.
        start: batches already done.
        recipe: name of its recipe.
        scale: name of its scale, or None.
        validates: whether it begins with the validation that ``start`` is due.
    """
    figures = MetricsCSV(folder.metrics, start, validates)
    if not is_wanted():
        return [figures]
    return [RunWandb(folder.path, describe_run(config, recipe, scale), folder.codec, folder.best), figures]
