"""A run's W&B log, which never stops or slows the training it logs."""

import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.experiments.run_folder import RunFolder
from codeclab.experiments.wandb_config import describe_run
from codeclab.experiments.wandb_server import server_problem, wandb_mode

PROJECT = "codeclab"
X_AXIS = "batch"
START_SECONDS = 20
UPLOAD_SECONDS = 120
"""How long the end of a run waits for what is not uploaded yet; what is left over, ``wandb sync`` uploads."""


def is_wanted() -> bool:
    """Whether anything is logged to W&B: it is installed, and not disabled."""
    return importlib.util.find_spec("wandb") is not None and wandb_mode() != "disabled"


def known_id(folder: Path) -> str:
    """The id of the W&B run whose logs lie in a folder, so that it is continued; a new one where there are none."""
    for log in sorted(folder.glob("wandb/*run-*")):
        if match := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(\w+)", log.name):
            return match[1]
    return secrets.token_hex(4)


def start_run(folder: Path, name: str, described: Mapping[str, Any]) -> Any:
    """Start or continue the W&B run of a folder: online where the server answers, else offline with a note.

    Args:
        folder: where its log is written.
        name: of the run.
        described: more arguments of ``wandb.init``: ``config``, ``group``, ``tags``, ``job_type``, ``project``.
    """
    # W&B would report its own errors to the server, offline, too.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    mode = wandb_mode()
    problem = server_problem() if mode == "online" else None
    settings: dict[str, Any] = {
        "silent": True,
        "console": "off",
        "init_timeout": START_SECONDS,
        "finish_timeout": UPLOAD_SECONDS,
    }
    told: dict[str, Any] = {"project": os.environ.get("WANDB_PROJECT", PROJECT)} | dict(described)
    told |= {"name": name, "id": known_id(folder), "dir": str(folder), "reinit": "create_new"}
    folder.mkdir(parents=True, exist_ok=True)
    if mode == "online" and problem is None:
        try:
            run = wandb.init(mode="online", resume="allow", settings=wandb.Settings(**settings), **told)
            print(f"W&B: {run.url}", file=sys.stderr)
            return run
        except wandb.Error as error:
            problem = _first_line(error)
    if problem:
        print(f"note: W&B: {problem}; logging offline, for `wandb sync {folder}/wandb`", file=sys.stderr)
    settings["x_disable_stats"] = True
    return wandb.init(mode="offline", resume="allow", settings=wandb.Settings(**settings), **told)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


class RunWandb(Logger):
    """W&B's log of a training run, begun before the first batch and ended with the training.

    Its x-axis is the number of batches; validation metrics keep their best as the run's summary. What goes wrong in it
    is said once, and ends the log alone.

    Args:
        folder: the run.
        described: what ``start_run`` is told.
    """

    def __init__(self, folder: RunFolder, described: Mapping[str, Any]) -> None:
        super().__init__()
        self.folder = folder
        self.described = described
        self.run: Any = None
        self.failed = False

    @property
    def name(self) -> str:
        """The logger's name."""
        return "wandb"

    @property
    def version(self) -> str:
        """The id of the W&B run; empty before it has begun."""
        return str(self.run.id) if self.run is not None else ""

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:
        """Begin the run: the trainer calls this before the first batch."""
        self._try(lambda run: None)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures, or audio and images, of the state after ``step`` batches."""
        values = {key: value for key, value in metrics.items() if key != "epoch"}
        if values:
            # The step, too, so that a continuation goes on where the run was, and repeats nothing.
            self._try(lambda run: run.log({X_AXIS: step or 0, **values}, step=step or 0))

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's settings are told at its start."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the codec, and close the run; ``status`` is ``success`` or what went wrong."""
        if self.run is None:
            return
        if status == "success":
            self._try(self._keep_codec)
        self._try(lambda run: run.finish(exit_code=0 if status == "success" else 1))
        self.run = None

    def _keep_codec(self, run: Any) -> None:
        """The saved codec as an artifact: ``latest``, and ``best`` where validation chose it."""
        import wandb

        if not (self.folder.codec / "config.json").is_file():
            return
        artifact = wandb.Artifact(f"codec-{run.id}", type="codec", metadata={"run": self.folder.path.name})
        for path in sorted(self.folder.codec.iterdir()):
            # Immutable, so that W&B keeps no second copy of it.
            artifact.add_file(str(path), name=path.name, policy="immutable", skip_cache=True)
        run.log_artifact(artifact, aliases=["latest", "best"] if self.folder.best.is_file() else ["latest"])

    def _try(self, act: Callable[[Any], Any]) -> None:
        if self.failed:
            return
        try:
            if self.run is None:
                self.run = start_run(self.folder.path, self.folder.path.name, self.described)
                define_metrics(self.run)
            act(self.run)
        except Exception as error:  # whatever W&B raises: no training may end for its log
            self.failed = True
            print(f"note: W&B: {_first_line(error)}; nothing more is logged there", file=sys.stderr)


def define_metrics(run: Any) -> None:
    """Plot everything over batches, and keep each validation metric's best, lowest or highest, as the summary."""
    run.define_metric(X_AXIS, hidden=True)
    run.define_metric("*", step_metric=X_AXIS)
    for name, metric in METRICS.items():
        run.define_metric(f"valid/{name}*", step_metric=X_AXIS, summary="max" if metric.higher_is_better else "min")


def wandb_logger(folder: RunFolder, config: dict[str, Any], recipe: str, scale: str | None) -> RunWandb | None:
    """A W&B logger that writes into the run's folder; None where wandb is not installed or disabled.

    Args:
        folder: the run.
        config: its settings.
        recipe: name of its recipe.
        scale: name of its scale, or None.
    """
    return RunWandb(folder, describe_run(config, recipe, scale)) if is_wanted() else None
