"""Where a run's figures go: ``metrics.csv`` always, W&B where it is installed."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.tracking.describe_run import describe_run
from codeclab.experiments.tracking.wandb_run import RunWandb, is_wanted

OF_THE_MACHINE = "speed/"
"""What figures of the machine begin with: they differ from run to run, and ``metrics.csv`` is the same every time."""


class MetricsCSV(Logger):
    """One row per logged step in ``metrics.csv``; a continued run appends, after cutting rows later than its start.

    Args:
        path: the CSV file.
        start: batches already done; rows of later steps are cut.
    """

    def __init__(self, path: Path, start: int) -> None:
        super().__init__()
        self.path = path
        self.columns = ["step"]
        rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or ["step"])
                rows = [row for row in reader if row["step"].isdigit() and int(row["step"]) <= start]
        if getattr(rank_zero_only, "rank", 0) == 0:
            self._rewrite(rows)

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """A run has one metrics file."""
        return ""

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        lines = [",".join(self.columns)]
        lines += [",".join(row.get(column) or "" for column in self.columns) for row in rows]
        write_atomically(self.path, "\n".join(lines) + "\n")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row; a metric seen for the first time gets a column."""
        row = {"step": str(step if step is not None else 0)}
        kept = {key: value for key, value in metrics.items() if not key.startswith(OF_THE_MACHINE)}
        row |= {key: f"{float(value):.8g}" for key, value in kept.items() if key != "epoch"}
        if len(row) == 1:
            return
        new = [key for key in row if key not in self.columns]
        if new:
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            self.columns += new
            self._rewrite(rows)
        with self.path.open("a") as file:
            file.write(",".join(row.get(column, "") for column in self.columns) + "\n")

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The config is in ``config.yaml``."""


def make_loggers(
    folder: RunFolder, config: dict[str, Any], start: int, recipe: str = "", scale: str | None = None
) -> list[Logger]:
    """The loggers of a run that continues after ``start`` batches.

    Args:
        folder: the run.
        config: its settings.
        start: batches already done.
        recipe: name of its recipe.
        scale: name of its scale, or None.
    """
    loggers: list[Logger] = [MetricsCSV(folder.metrics, start)]
    if is_wanted():
        described = describe_run(config, recipe, scale)
        loggers.append(RunWandb(folder.path, described, folder.codec, folder.best))
    return loggers
