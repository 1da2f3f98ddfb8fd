"""Checkpoints of a language model's run, and the fitted model that coders read."""

import warnings
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.model_folder import FittedModel, save_fitted
from codeclab.experiments.language_model.module import LanguageModelExperiment
from codeclab.experiments.runs.folder import RunFolder

MONITORED = "valid/bits"


class LanguageModelCheckpoint(Callback):
    """Keeps ``checkpoints/last.ckpt``, ``checkpoints/best.ckpt`` and the best language model, with the frequencies.

    Args:
        folder: the run.
        every: batches between two ``last.ckpt``.
        codec: whose codes are learnt.
        counts: how often each entry was seen in training, ``[K, size]``.
    """

    def __init__(self, folder: RunFolder, every: int, codec: Codec, counts: NDArray[np.int64]) -> None:
        self.folder = folder
        self.every = every
        self.codec, self.counts = codec, counts
        self.best: float | None = None
        self.saved_at = -1

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.best = state_dict["best"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep Lightning from warning of a resume that it cannot see is exact."""
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save ``last.ckpt`` every so many batches, where no validation follows that will."""
        if trainer.global_step % self.every == 0 and sum(trainer.num_val_batches) == 0:
            self._save_last(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the model where it is the best so far; then ``last.ckpt``, so that a run killed between repeats both."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        value = trainer.callback_metrics.get(MONITORED)
        if value is not None and (self.best is None or float(value) < self.best):
            self.best = float(value)
            trainer.save_checkpoint(self.folder.best, weights_only=False)
            self._save_model(trainer, pl_module)
        self._save_last(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the final state, and the last model where none was validated."""
        if trainer.interrupted:
            return
        if self.best is None:
            self._save_model(trainer, pl_module)
        if trainer.global_step != self.saved_at:
            self._save_last(trainer)

    def _save_last(self, trainer: lightning.Trainer) -> None:
        trainer.save_checkpoint(self.folder.last, weights_only=False)
        self.saved_at = trainer.global_step

    def _save_model(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            assert isinstance(pl_module, LanguageModelExperiment)
            save_fitted(FittedModel(pl_module.model, self.counts), self.folder.path, self.codec)
