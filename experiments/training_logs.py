"""The part of the LightningModule that logs its training."""

import lightning
from torch import Tensor

from codeclab.experiments.balancer import Balancer
from codeclab.experiments.loggers import codebook_logs
from codeclab.experiments.settings import OptimizerSettings


class TrainingLogs(lightning.LightningModule):
    """Sends what a batch showed to the loggers; the trainer's module inherits this and keeps the last batch's codes."""

    optimizer_settings: OptimizerSettings
    balancer: Balancer | None
    _codes: Tensor
    _sizes: list[int]

    def log_training(self, logs: dict[str, float]) -> None:
        """Send losses, learning rate and codebook health to the loggers, every ``log_every_n_steps`` batches."""
        step = self.global_step
        if step % self.trainer.log_every_n_steps and step != 1:  # type: ignore[attr-defined]
            return
        values = {f"train/{name}": value for name, value in logs.items()}
        values["train/lr"] = self.optimizer_settings.lr * self.optimizer_settings.decay ** (step - 1)
        if self.balancer is not None:
            values |= {f"share/{name}": float(share) for name, share in self.balancer.last_shares.items()}
        values |= codebook_logs(self._codes, self._sizes)
        for logger in self.loggers:
            logger.log_metrics(values, step)
        shown = {"spectral": values.get("train/spectral"), "critic": values.get("train/discriminator")}
        self.log_dict({k: v for k, v in shown.items() if v is not None}, prog_bar=True, logger=False)
