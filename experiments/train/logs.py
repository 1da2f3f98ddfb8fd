"""The callback that logs training: losses, speed, memory, codebooks."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from codeclab.experiments.train.step_output import StepOutput
from codeclab.quantizers.usage import codebook_statistics

GIB = 2**30


class Throughput:
    """Measures the time of batches between two readings: waiting for a batch, and working on it.

    Only the host's clock is read, without synchronization with the device: over several batches, the host keeps pace
    with it. Time outside of both, such as validation and checkpoints, is not counted.

    Args:
        clock: monotonic clock, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._mark: float | None = None
        self._reset()

    def _reset(self) -> None:
        self.waited = self.worked = 0.0
        self.items = self.batches = 0

    def fetch(self) -> None:
        """Start of the wait for a batch."""
        self._mark = self.clock()

    def begin(self) -> None:
        """End of the wait, start of the batch."""
        now = self.clock()
        if self._mark is not None:
            self.waited += now - self._mark
        self._mark = now

    def end(self, items: int) -> None:
        """End of a batch of ``items`` items over all devices."""
        if self._mark is None:
            return
        self.worked += self.clock() - self._mark
        self._mark = None
        self.items += items
        self.batches += 1

    def read(self) -> dict[str, float]:
        """The measurements since the last reading, by their names in the logs; empty before the first batch."""
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
    """The peak memory so far, GiB, of this process and, if it trains on a GPU, of the GPU."""
    figures = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        figures["speed/memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
    if device.type == "cuda":
        figures["speed/gpu_memory_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        figures["speed/gpu_memory_reserved_gib"] = torch.cuda.max_memory_reserved(device) / GIB
    return figures


class TrainingLogs(Callback):
    """Logs the output of the first batch and of every ``log_every_n_steps``-th one to the trainer's loggers.

    Tensors stay on the device until then, and are read in one transfer.

    Attributes:
        latest: the last value that was logged of each name.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._throughput = Throughput()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the measurement; a resumed run may validate before its first batch."""
        self._throughput = Throughput()
        self._throughput.fetch()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End of the wait for data."""
        self._throughput.begin()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Log the batch and start the wait for the next one, which a validation in between restarts."""
        output = StepOutput.of(outputs)
        if output is not None:
            self._throughput.end(output.n_items * trainer.world_size)
            self._log(trainer, pl_module, output)
        self._throughput.fetch()

    def _log(self, trainer: Trainer, pl_module: LightningModule, output: StepOutput) -> None:
        step = trainer.global_step
        if step % trainer.log_every_n_steps == 0 or step == 1:  # type: ignore[attr-defined]
            values = training_figures(output) | self._throughput.read() | memory_figures(pl_module.device)
            self.latest |= values
            for logger in trainer.loggers:
                logger.log_metrics(values, step)
            for name in ("spectral", "discriminator"):
                if name in output.losses:
                    pl_module.log(name, output.losses[name], prog_bar=True, logger=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the wait for data, without the validation."""
        if trainer.state.fn == "fit":
            self._throughput.fetch()


def training_figures(output: StepOutput) -> dict[str, float]:
    """The values of a batch by their names in the logs."""
    named = output.figures()
    named["lr"] = output.learning_rates["generator"]
    if "discriminator" in output.losses:
        named["discriminator_lr"] = output.learning_rates["discriminator"]
    values = {f"train/{name}": value for name, value in named.items()}
    values |= as_numbers({f"share/{name}": share for name, share in output.shares.items()})
    if output.codes.shape[1]:
        values |= codebook_logs(output.codes, output.sizes)
    return values


def as_numbers(figures: Mapping[str, Tensor]) -> dict[str, float]:
    """0-d tensors as numbers, in one transfer."""
    if not figures:
        return {}
    return dict(zip(figures, torch.stack([value.float() for value in figures.values()]).tolist(), strict=True))


def codebook_logs(codes: Tensor, sizes: list[int]) -> dict[str, float]:
    """Statistics of codes ``[B, K, T]`` of codebooks of ``sizes`` entries, by their names in the logs."""
    return as_numbers(
        {
            f"codebooks/{name}_{k:02d}": value
            for name, per_codebook in codebook_statistics(codes, sizes).items()
            for k, value in enumerate(per_codebook)
        }
    )
