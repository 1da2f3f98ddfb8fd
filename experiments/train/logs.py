"""The part of the LightningModule that logs its training: losses, speed, memory, codebooks."""

import sys
import time
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor

from codeclab.experiments.train.balancer import Balancer
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.quantizers.usage import codebook_statistics

GIB = 2**30


class Throughput:
    """Clocks the batches between two readings: waiting for a batch, and working on it.

    Only the host's clock is read, nothing on the device is waited for: over several batches the host keeps pace with
    it. What happens outside both, validation and checkpoints, counts as neither.

    Args:
        clock: seconds, ever growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._mark: float | None = None
        self._reset()

    def _reset(self) -> None:
        self.waited = self.worked = 0.0
        self.items = self.batches = 0

    def fetch(self) -> None:
        """The loader is asked for a batch from now on."""
        self._mark = self.clock()

    def begin(self) -> None:
        """The batch has come."""
        now = self.clock()
        if self._mark is not None:
            self.waited += now - self._mark
        self._mark = now

    def end(self, items: int) -> None:
        """The batch of so many items, over all devices, is done."""
        if self._mark is None:
            return
        self.worked += self.clock() - self._mark
        self._mark = None
        self.items += items
        self.batches += 1

    def read(self) -> dict[str, float]:
        """The figures since the last reading, by the names they are logged under; empty before the first batch."""
        spent = self.waited + self.worked
        figures: dict[str, float] = {}
        if self.batches and spent > 0:
            figures = {
                "speed/items_per_second": self.items / spent,
                "speed/batches_per_second": self.batches / spent,
                "speed/data_wait_share": self.waited / spent,
            }
        self._reset()
        return figures


def memory_figures(device: torch.device) -> dict[str, float]:
    """The most memory used so far, GiB: of this process and, where it trains on a GPU, of that."""
    figures = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        figures["speed/memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
    if device.type == "cuda":
        figures["speed/gpu_memory_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        figures["speed/gpu_memory_reserved_gib"] = torch.cuda.max_memory_reserved(device) / GIB
    return figures


class TrainingLogs(lightning.LightningModule):
    """Sends what a batch showed to the loggers; the trainer's module inherits this and keeps the last batch's codes.

    Figures stay on the device until ``log_every_n_steps`` asks for them; then one transfer brings them all.
    """

    optimizer_settings: OptimizerSettings
    discriminator_optimizer_settings: OptimizerSettings
    balancer: Balancer | None
    _codes: Tensor
    _sizes: list[int]

    def on_fit_start(self) -> None:
        """Start the clocks, before a run that continues validates first."""
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
        batches = self.trainer.max_steps
        values["train/lr"] = self.optimizer_settings.rate(step - 1, batches)
        if "discriminator" in logs:
            values["train/discriminator_lr"] = self.discriminator_optimizer_settings.rate(step - 1, batches)
        shares = self.balancer.last_shares if self.balancer is not None else {}
        values |= as_numbers({f"share/{name}": share for name, share in shares.items()})
        if self._codes.shape[1]:
            values |= codebook_logs(self._codes, self._sizes)
        values |= self._throughput.read() | memory_figures(self.device)
        for logger in self.loggers:
            logger.log_metrics(values, step)
        shown = {"spectral": values.get("train/spectral"), "critic": values.get("train/discriminator")}
        self.log_dict({k: v for k, v in shown.items() if v is not None}, prog_bar=True, logger=False)


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
