"""Where a run's figures go: ``metrics.csv`` always, W&B where it is installed."""

import csv
import hashlib
import importlib.util
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from codeclab.benchmarks.files import write_atomically
from codeclab.experiments.run_folder import RunFolder
from codeclab.quantizers.usage import codebook_statistics

WANDB_HOST = "api.wandb.ai"


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
        row |= {key: f"{float(value):.8g}" for key, value in metrics.items() if key != "epoch"}
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


class RunWandb(WandbLogger):
    """W&B's logger, which ends its run with the training: the next row of a table then gets a run of its own."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the W&B run; ``status`` is ``success`` or what went wrong."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def wandb_mode() -> str:
    """``online`` where the user is logged in, otherwise ``offline``; WANDB_MODE, if set, is obeyed.

    Only files and the environment are read: nothing is asked and no network is touched.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return "offline"
    return "online" if WANDB_HOST in known else "offline"


def wandb_logger(folder: RunFolder, config: dict[str, Any], project: str) -> Logger | None:
    """A W&B logger that writes into the run's folder; None where wandb is not installed or disabled."""
    mode = wandb_mode()
    if importlib.util.find_spec("wandb") is None or mode in ("disabled", "dryrun"):
        return None
    import wandb

    settings = wandb.Settings(silent=True, console="off", init_timeout=30, x_disable_stats=mode == "offline")
    logger = RunWandb(
        project=project,
        name=folder.path.name,
        id=hashlib.sha256(str(folder.path.resolve()).encode()).hexdigest()[:12],
        save_dir=folder.path,
        offline=mode == "offline",
        resume=None if mode == "offline" else "allow",
        settings=settings,
        config=config,
        log_model=False,
    )
    return logger


def make_loggers(folder: RunFolder, config: dict[str, Any], start: int, project: str = "codeclab") -> list[Logger]:
    """The loggers of a run that continues after ``start`` batches."""
    wandb = wandb_logger(folder, config, project)
    return [MetricsCSV(folder.metrics, start), *([wandb] if wandb else [])]


def codebook_logs(codes: Tensor, sizes: list[int]) -> dict[str, float]:
    """Statistics of codes ``[B, K, T]``, of codebooks with so many entries, by the names they are logged under."""
    logs: dict[str, float] = {}
    for name, per_codebook in codebook_statistics(codes, sizes).items():
        logs |= {f"codebooks/{name}_{k:02d}": float(value) for k, value in enumerate(per_codebook)}
    return logs
