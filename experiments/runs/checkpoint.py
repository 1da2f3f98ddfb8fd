"""Checkpoints of a run, written so that a kill at any moment leaves the last good one."""

import warnings
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.io.files import replacing
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.train.validation import Validation


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name, then renames it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` at ``path``; a reader sees the old file or the new one."""
        with replacing(Path(path), durable=True) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)


class RunCheckpoint(Callback):
    """Keeps ``checkpoints/last.ckpt``, ``checkpoints/best.ckpt`` and the codec folder of a run.

    Args:
        folder: the run.
        every: batches between two ``last.ckpt``.
    """

    def __init__(self, folder: RunFolder, every: int) -> None:
        self.folder = folder
        self.every = every
        self.best_score: float | None = None
        self.saved_at = -1

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.best_score = state_dict["best_score"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep Lightning from warning of a resume that it cannot see is exact."""
        # It looks for a loader with a state; ours begins at the checkpoint's batch instead.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save ``last.ckpt`` every so many batches, where no validation follows that will."""
        if trainer.global_step % self.every == 0 and sum(trainer.num_val_batches) == 0:
            self._save_last(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save ``best.ckpt`` and the codec when the monitored metric is the best so far; then ``last.ckpt``.

        Last comes after the measurement: a run killed between the two repeats both, and no score is lost.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        name = cast(Validation, pl_module).monitored
        value = trainer.callback_metrics.get(f"valid/{name}")
        if value is not None:
            score = float(value) if METRICS[name].higher_is_better else -float(value)
            if self.best_score is None or score > self.best_score:
                self.best_score = score
                trainer.save_checkpoint(self.folder.best, weights_only=False)
                if trainer.is_global_zero:
                    self._save_codec(pl_module)
        self._save_last(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the final state; the codec folder holds the best codec, or the last where nothing was validated.

        The state comes last: a run killed between the two repeats its end, and no codec is missing or of fewer batches.
        """
        if trainer.interrupted:
            return
        if trainer.is_global_zero and self.best_score is None:
            validation = cast(Validation, pl_module)
            # Without validation nothing has measured a learnt rate yet.
            if validation.measure_rate("valid") is None:
                validation.measure_rate("train")
            self._save_codec(pl_module)
        if trainer.global_step != self.saved_at:
            self._save_last(trainer)

    def _save_last(self, trainer: lightning.Trainer) -> None:
        trainer.save_checkpoint(self.folder.last, weights_only=False)
        self.saved_at = trainer.global_step

    def _save_codec(self, pl_module: lightning.LightningModule) -> None:
        with torch.no_grad():
            cast(Validation, pl_module).deployed_codec.save(self.folder.codec)
