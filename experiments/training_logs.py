"""The part of the LightningModule that logs its training."""

from typing import Any

import lightning
import torch
from torch import Tensor

from codeclab.experiments.balancer import Balancer
from codeclab.experiments.settings import OptimizerSettings
from codeclab.experiments.throughput import Throughput, memory_figures
from codeclab.quantizers.usage import codebook_statistics


class TrainingLogs(lightning.LightningModule):
    """Sends what a batch showed to the loggers; the trainer's module inherits this and keeps the last batch's codes.

    Figures stay on the device until ``log_every_n_steps`` asks for them; then one transfer brings them all.
    """

    optimizer_settings: OptimizerSettings
    discriminator_optimizer_settings: OptimizerSettings
    balancer: Balancer | None
    _codes: Tensor
    _sizes: list[int]

    def on_train_start(self) -> None:
        """Start the clocks."""
        self._throughput = Throughput()
        self._throughput.fetch()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The wait for data is over."""
        self._throughput.begin()

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        """The wait for the next batch begins; a validation between them restarts it."""
        self._throughput.end(len(batch["audio"]) * self.trainer.world_size)
        self._throughput.fetch()

    def on_validation_end(self) -> None:
        """Leave the validation out of the wait for data."""
        if self.trainer.state.fn == "fit":
            self._throughput.fetch()

    def log_training(self, logs: dict[str, float]) -> None:
        """Send a batch's figures to the loggers, at the first one and every ``log_every_n_steps`` batches.

        Args:
            logs: losses, gradient norms, scores and bitrate, by name.
        """
        step = self.global_step
        if step % self.trainer.log_every_n_steps and step != 1:  # type: ignore[attr-defined]
            return
        values = {f"train/{name}": value for name, value in logs.items()}
        values["train/lr"] = rate_at(self.optimizer_settings, step)
        if "discriminator" in logs:
            values["train/discriminator_lr"] = rate_at(self.discriminator_optimizer_settings, step)
        shares = self.balancer.last_shares if self.balancer is not None else {}
        values |= as_numbers({f"share/{name}": share for name, share in shares.items()})
        values |= codebook_logs(self._codes, self._sizes)
        values |= self._throughput.read() | memory_figures(self.device)
        for logger in self.loggers:
            logger.log_metrics(values, step)
        shown = {"spectral": values.get("train/spectral"), "critic": values.get("train/discriminator")}
        self.log_dict({k: v for k, v in shown.items() if v is not None}, prog_bar=True, logger=False)


def rate_at(settings: OptimizerSettings, step: int) -> float:
    """The learning rate with which batch ``step``, from 1, moved the weights."""
    return settings.lr * settings.decay ** (step - 1)


def as_numbers(figures: dict[str, Tensor]) -> dict[str, float]:
    """0-d tensors as numbers, in one transfer."""
    if not figures:
        return {}
    return dict(zip(figures, torch.stack([value.float() for value in figures.values()]).tolist(), strict=True))


def codebook_logs(codes: Tensor, sizes: list[int]) -> dict[str, float]:
    """Statistics of codes ``[B, K, T]``, of codebooks with so many entries, by the names they are logged under."""
    return as_numbers(
        {
            f"codebooks/{name}_{k:02d}": value
            for name, per_codebook in codebook_statistics(codes, sizes).items()
            for k, value in enumerate(per_codebook)
        }
    )
