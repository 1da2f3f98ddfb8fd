"""Checkpoints of a language model's run, and the fitted model that coders read."""

import warnings
from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from numpy.typing import NDArray

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.model_folder import FittedModel, save_fitted
from codeclab.experiments.language_model.module import LanguageModelExperiment
from codeclab.experiments.runs.checkpoint import RunCheckpoint
from codeclab.experiments.runs.folder import RunFolder

MONITORED = "valid/bits"

FORMER_STATE = "LanguageModelCheckpoint"
"""Under which a checkpoint kept ``{"best": bits}`` before 0.2."""


class LanguageModelCheckpoint(RunCheckpoint):
    """Keeps ``checkpoints/last.ckpt``, ``checkpoints/best.ckpt`` and the best language model, with the frequencies.

    Arguments as of ``RunCheckpoint``, the codec whose codes are learnt, and ``counts``: how many times each entry was
    seen in training, ``[K, size]``.
    """

    def __init__(
        self, folder: RunFolder, every: int, steps: int, minutes: float, codec: Codec, counts: NDArray[np.int64]
    ) -> None:
        super().__init__(folder, every, steps, minutes)
        self.codec, self.counts = codec, counts

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep Lightning from asking for the callback that an older version had."""
        warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks used to create")

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Read what an older version kept of the best validation."""
        former = checkpoint["callbacks"].get(FORMER_STATE, {}).get("best")
        self.best_score = None if former is None else -former

    def score(self, trainer: Trainer, pl_module: LightningModule) -> float | None:
        """Bits per code, fewer are better."""
        value = trainer.callback_metrics.get(MONITORED)
        return None if value is None else -float(value)

    def save_unvalidated(self, pl_module: LightningModule) -> None:
        """Save the model of the last batch of a run that validated nothing."""
        self.save_model(pl_module)

    def save_model(self, pl_module: LightningModule) -> None:
        """Save the fitted model."""
        assert isinstance(pl_module, LanguageModelExperiment)
        save_fitted(FittedModel(pl_module.model, self.counts), self.folder.path, self.codec)
