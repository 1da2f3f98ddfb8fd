"""Checkpoints of a run, written so that a kill at any moment leaves the last good one."""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.io.files import replacing
from codeclab.experiments.runs.disk import why_unwritten
from codeclab.experiments.runs.folder import CHECKPOINT_STATE, VALIDATION_DUE, RunFolder
from codeclab.experiments.runs.stopping import REQUEUE, Stopped, requeue, stop_request
from codeclab.experiments.train.experiment_of import experiment_of
from codeclab.experiments.train.module import CodecExperiment

AGAIN = 60.0
"""Seconds after which a checkpoint that could not be written is tried again."""

WRITE_ERRORS = (OSError, RuntimeError)
"""What ``torch.save`` raises if a disk is full or gone; its zip writer hides the error in a RuntimeError."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name, then renames it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` at ``path``; a reader sees the old file or the new one."""
        with replacing(Path(path), durable=True) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)


class RunCheckpoint(Callback):
    """Writes ``checkpoints/last.ckpt``, ``checkpoints/best.ckpt`` and the codec folder of a run.

    ``last.ckpt``, from which a run continues, is written before each validation and after it, every so many minutes,
    when the command is requested to stop, which it then does, and at the end. One written before a validation says so:
    who continues from it validates first. ``best.ckpt`` and the codec folder are written when a validation is the best
    so far; a run that validates nothing writes the codec at its end.

    Of files that belong together, ``last.ckpt`` comes last, because it decides what a continued run repeats: whatever a
    kill left half done before it, is done again, and nothing is taken for done that is not.

    Any trainer of a ``CodecExperiment`` takes it. With ``AtomicCheckpointIO`` among the trainer's plugins a kill at any
    moment leaves the last good checkpoint.

    Args:
        folder: folder of the run, made where it is missing.
        every: number of batches between two validations; None writes nothing before one.
        steps: number of batches of the whole run; None takes the trainer's.
        minutes: longest time between two ``last.ckpt``, minutes; 0 writes none by time.
        clock: monotonic clock, seconds.
    """

    def __init__(
        self,
        folder: RunFolder | Path | str,
        every: int | None = None,
        steps: int | None = None,
        minutes: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder if isinstance(folder, RunFolder) else RunFolder(Path(folder))
        self.every = every
        self.steps = steps
        self.minutes = minutes
        self.clock = clock
        self.best_score: float | None = None
        self.saved_at = -1
        self.validation_due = False
        self._next = float("inf")

    @property
    def state_key(self) -> str:
        """Under which a checkpoint keeps the state of this callback."""
        return CHECKPOINT_STATE

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {"best_score": self.best_score, VALIDATION_DUE: self.validation_due}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.best_score = state_dict["best_score"]
        self.validation_due = bool(state_dict.get(VALIDATION_DUE, False))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate first, if the run stopped during or before a validation."""
        # It looks for a loader with a state; ours begins at the checkpoint's batch instead.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")
        self._next = self.clock() + self.minutes * 60 if self.minutes else float("inf")
        if self.validation_due:
            loop = trainer.fit_loop.epoch_loop.val_loop
            loop.restarting = False  # it begins anew, whatever the one before had counted
            trainer.validating = True
            loop.run()
            trainer.training = True
            # Where nothing but this was left, the run was let begin by one batch more.
            trainer.fit_loop.epoch_loop.max_steps = self.steps or trainer.max_steps

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save ``last.ckpt`` when it is due, and stop if a signal requested it."""
        step = trainer.global_step
        # Agreed among all processes after every batch: a signal and the clock may differ between them, and saving is
        # collective.
        stops = self._any(trainer, stop_request().number is not None)
        late = self._any(trainer, self.clock() >= self._next)
        due = self.every is not None and step % self.every == 0
        validates = due and sum(trainer.num_val_batches) > 0
        if step >= trainer.max_steps and not validates:
            return  # on_train_end comes next, and saves the codec, too
        if stops or late or due:
            self.validation_due = validates
            self._save_last(trainer, must=stops)
        if stops:
            self._stop(trainer)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Stop if a signal requested it; the training is saved before a validation begins."""
        if trainer.state.fn == "fit" and self._any(trainer, stop_request().number is not None):
            if self.saved_at != trainer.global_step:
                self._save_last(trainer, must=True)
            self._stop(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save ``best.ckpt`` and the codec when the monitored metric is the best so far; then ``last.ckpt``.

        Last comes after the measurement: a run killed between the two repeats both, and no score is lost.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.validation_due = False
        score = self.score(trainer, pl_module)
        if score is not None and (self.best_score is None or score > self.best_score):
            self._keep_best(trainer, pl_module, score)
        if trainer.global_step < trainer.max_steps:
            self._save_last(trainer)

    def score(self, trainer: Trainer, pl_module: LightningModule) -> float | None:
        """The score of the last validation, higher is better; None if it measured nothing."""
        name = experiment_of(pl_module).monitored
        value = trainer.callback_metrics.get(f"valid/{name}")
        if value is None:
            return None
        return float(value) if METRICS[name].higher_is_better else -float(value)

    def _keep_best(self, trainer: Trainer, pl_module: LightningModule, score: float) -> None:
        before, self.best_score = self.best_score, score  # before saving: the checkpoint holds it
        try:
            # The codec after the checkpoint: a kill between the two leaves last.ckpt of before this validation, which
            # repeats both.
            trainer.save_checkpoint(self.folder.best, weights_only=False)
            if trainer.is_global_zero:
                self.save_model(pl_module)
        except WRITE_ERRORS as error:
            self.best_score = before
            self._report_unwritten(self.folder.best, error)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state; the codec folder holds the best codec, or the last where nothing was validated.

        The state comes last: a run killed between the two repeats its end, and no codec is missing or of fewer batches.
        """
        if trainer.interrupted:
            return
        self.validation_due = False
        _settle(pl_module)
        if trainer.is_global_zero and self.best_score is None:
            self.save_unvalidated(pl_module)
        self._save_last(trainer, must=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep what was trained before a fault between two batches, in the data or in validation."""
        # In a batch, one player may have learned and the other not. With several processes, saving is collective, and
        # only this one may have failed.
        progress = trainer.fit_loop.epoch_loop.batch_progress.current
        between = progress.ready == progress.completed and trainer.state.fn == "fit"
        if isinstance(exception, Stopped) or not between or trainer.world_size > 1:
            return
        if 0 < trainer.global_step != self.saved_at and self._save_last(trainer):
            print(f"{self.folder.path.name}: saved after batch {trainer.global_step:,}", file=sys.stderr)

    def _stop(self, trainer: Trainer) -> None:
        number, step = self._number(trainer), trainer.global_step
        # Only now, when the state is written: Slurm may start the job anew at once.
        if trainer.is_global_zero:
            name = self.folder.path.name
            print(f"{name}: stopped after batch {step:,}; the same command continues it", file=sys.stderr)
            if number == REQUEUE:
                requeue()
        stopped = Stopped(number, reported=True)
        if not trainer.is_global_zero:
            stopped.code = 0  # Lightning kills all processes as soon as one ends with another status
        raise stopped

    @staticmethod
    def _number(trainer: Trainer) -> int:
        """The signal, whichever process received it: all processes end together."""
        own = stop_request().number or 0
        if trainer.world_size == 1:
            return own
        received = torch.tensor(own, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(received, reduce_op="max"))

    @staticmethod
    def _any(trainer: Trainer, condition: bool) -> bool:
        """Whether it is true on any process, so that all do the same."""
        if trainer.world_size == 1:
            return condition
        return bool(trainer.strategy.reduce_boolean_decision(condition, all=False))

    def _save_last(self, trainer: Trainer, must: bool = False) -> bool:
        """Write ``last.ckpt``.

        Args:
            trainer: trainer of the run.
            must: whether there is no other occasion; else a full disk is reported, and tried again in a minute.

        Returns:
            whether it is written.

        Raises:
            OSError: it must be, and cannot.
        """
        self._next = self.clock() + self.minutes * 60 if self.minutes else float("inf")
        _settle(trainer.lightning_module)  # outside of the attempt: it is no fault of the disk
        try:
            trainer.save_checkpoint(self.folder.last, weights_only=False)
        except WRITE_ERRORS as error:
            if must:
                raise OSError(f"{self._unwritten(self.folder.last, error)}. {self._last_written()}") from error
            self._report_unwritten(self.folder.last, error)
            self._next = self.clock() + AGAIN
            return False
        self.saved_at = trainer.global_step
        return True

    def _unwritten(self, path: Path, error: Exception) -> str:
        return f"{path} cannot be written ({why_unwritten(path, error)})"

    def _report_unwritten(self, path: Path, error: Exception) -> None:
        name = self.folder.path.name
        print(f"{name}: {self._unwritten(path, error)}; training goes on, and tries again", file=sys.stderr)

    def _last_written(self) -> str:
        if not self.folder.last.is_file():
            return "No checkpoint has been written yet."
        return (
            f"The last one is of batch {self.folder.steps:,}: with room for it, the same command continues from there"
        )

    def save_unvalidated(self, pl_module: LightningModule) -> None:
        """Save the model of the last batch of a run that validated nothing."""
        experiment = experiment_of(pl_module)
        # Nothing has measured a learnt rate yet.
        if experiment.measure_rate("valid") is None:
            experiment.measure_rate("train")
        self.save_model(pl_module)

    def save_model(self, pl_module: LightningModule) -> None:
        """Save what the run is for: its codec."""
        with torch.no_grad():
            experiment_of(pl_module).deployed_codec.save(self.folder.codec)


def _settle(module: LightningModule) -> None:
    """Check the last batch, where its numbers are read late, before anything of it is kept."""
    if isinstance(module, CodecExperiment):
        module.settle()
