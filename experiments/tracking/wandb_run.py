"""A run's W&B log: Lightning's ``WandbLogger``, which here never stops or slows the training it logs."""

import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import DummyExperiment, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.wording import named_line
from codeclab.experiments.tracking.wandb_server import server_problem, wandb_mode

PROJECT = "codeclab"

X_AXIS = "batch"

START_SECONDS = 20
"""Longest time in which a run on the server begins, seconds."""

UPLOAD_SECONDS = 120
"""Longest time that the end of a run waits for uploads, seconds; ``wandb sync`` uploads what is left."""


def is_wanted() -> bool:
    """Whether anything is logged to W&B: it is installed, and not disabled."""
    return importlib.util.find_spec("wandb") is not None and wandb_mode() != "disabled"


def known_id(folder: Path) -> str:
    """The id of the W&B run whose logs lie in a folder, so that it is continued; a new one where there are none."""
    for log in sorted(folder.glob("wandb/*run-*")):
        if match := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(\w+)", log.name):
            return match[1]
    return secrets.token_hex(4)


def start_run(folder: Path, described: Mapping[str, Any]) -> Any:
    """Start or continue the W&B run of a folder: online where the server answers, else offline with a note.

    Args:
        folder: folder that its log is written to; its name is the run's.
        described: further arguments of ``wandb.init``: ``config``, ``group``, ``tags``, ``job_type``, ``project``.
    """
    # W&B would report its own errors to the server, offline, too.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {"project": os.environ.get("WANDB_PROJECT", PROJECT), **described, "name": folder.name}
    arguments |= {"id": known_id(folder), "dir": str(folder), "resume": "allow"}
    # Alone it is ``wandb.run``, which ``watch`` writes to; a run of the user's own is left as it is.
    alone = wandb.setup().most_recent_active_run is None
    arguments["reinit"] = "default" if alone else "create_new"
    settings = wandb.Settings(silent=True, console="off", init_timeout=START_SECONDS, finish_timeout=UPLOAD_SECONDS)
    if wandb_mode() == "online":
        problem = server_problem()
        if problem is None:
            try:
                run = wandb.init(mode="online", settings=settings, **arguments)
                print(f"W&B: {run.url}", file=sys.stderr)
                return run
            except wandb.Error as error:
                problem = named_line(error)
                if alone:
                    wandb.teardown()  # it holds the id of the run that it could not begin
        print(f"note: W&B: {problem}; logging offline, for `wandb sync {folder}/wandb`", file=sys.stderr)
    settings.x_disable_stats = True
    return wandb.init(mode="offline", settings=settings, **arguments)


class RunWandb(WandbLogger):
    """Lightning's W&B logger over a training run's folder: begun before the first batch, ended with the training.

    Its x-axis is the number of batches; validation metrics keep their best as the run's summary. What goes wrong in it
    is said once, and ends the log alone.

    Args:
        folder: folder of the run.
        described: further arguments of ``wandb.init``, as for ``start_run``.
        codec: folder of the saved codec, which is an artifact at the end.
        best: path of the best checkpoint.
    """

    def __init__(self, folder: Path, described: Mapping[str, Any], codec: Path, best: Path) -> None:
        super().__init__(folder.name, save_dir=folder, project=os.environ.get("WANDB_PROJECT", PROJECT))
        self._experiment: Any = None
        self.folder = folder
        self.described = described
        self.codec = codec
        self.best = best

    def __getstate__(self) -> dict[str, Any]:
        """Without the run; ``WandbLogger`` would begin it in a process that hands the training to others."""
        return self.__dict__ | {"_experiment": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, begun when it is first asked for: the trainer does so before the first batch.

        ``WandbLogger`` would ask for a login, raise where no server answers, and write into a run of the user's own.
        """
        if self._experiment is None:
            with self._ends_alone():
                self._experiment = start_run(self.folder, self.described)
                define_metrics(self._experiment)
        return self._experiment

    @contextmanager
    def _ends_alone(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever W&B raises: no training may end for its log
            self._experiment = Ended()
            print(f"note: W&B: {named_line(error)}; nothing more is logged there", file=sys.stderr)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures, or audio and images, of the state after ``step`` batches; None is the last one logged.

        ``WandbLogger`` leaves W&B's own step out: what a continued run repeats would stand there twice.
        """
        values = {key: value for key, value in metrics.items() if key != "epoch"}
        if values:
            with self._ends_alone():
                at = {"commit": False} if step is None else {"step": step}
                self.experiment.log(values if step is None else {X_AXIS: step, **values}, **at)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Add settings to those of the start."""
        with self._ends_alone():
            super().log_hyperparams(*args, **kwargs)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the codec where the ``status`` is ``success``; close the run, which ``WandbLogger`` leaves open."""
        if self._experiment is None:
            return
        with self._ends_alone():
            if status == "success":
                self._keep_codec(self.experiment)
            self.experiment.finish(exit_code=0 if status == "success" else 1)
        self._experiment = None

    def _keep_codec(self, run: Any) -> None:
        """The saved codec as an artifact: ``latest``, and ``best`` where validation chose it."""
        import wandb

        if not (self.codec / "config.json").is_file():
            return
        artifact = wandb.Artifact(f"codec-{run.id}", type="codec", metadata={"run": self.folder.name})
        for path in sorted(self.codec.iterdir()):
            # Immutable, so that W&B keeps no second copy of it.
            artifact.add_file(str(path), name=path.name, policy="immutable", skip_cache=True)
        run.log_artifact(artifact, aliases=["latest", "best"] if self.best.is_file() else ["latest"])


class Ended(DummyExperiment):
    """Stands for a W&B run that failed: it takes everything and keeps nothing."""

    def __init__(self) -> None:
        self.id = None
        self.config: dict[str, Any] = {}


def define_metrics(run: Any) -> None:
    """Plot everything over batches, and keep each validation metric's best, lowest or highest, as the summary."""
    run.define_metric(X_AXIS, hidden=True)
    run.define_metric("*", step_metric=X_AXIS)
    for name, metric in METRICS.items():
        run.define_metric(f"valid/{name}*", step_metric=X_AXIS, summary="max" if metric.higher_is_better else "min")
