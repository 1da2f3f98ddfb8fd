"""How long a batch takes: a few real ones of a built experiment, kept so that none is timed twice."""

import hashlib
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.build import CodecCLI
from codeclab.experiments.runs.folder import experiment_settings

TIMINGS = ".timings.json"
"""File beside the runs that keeps the seconds of a batch."""

AFFORDABLE = 5.0
"""Seconds that a whole batch may be expected to take on a CPU; of longer ones only one item is timed."""

WARM_UP, TIMED = 2, 3
"""Whole batches that are left out, as the first touches of memory cost up to ten times a batch, and that count."""

WITHOUT_COST = (
    *("seed_everything", "model.seed", "data.seed", "data.split_seed", "data.folder"),
    *("model.optimizer", "model.discriminator_optimizer", "model.bitrate", "model.bitrates"),
    *("model.discriminator_warmup", "model.validation_metrics", "init", "init_identity"),
    *("trainer.max_steps", "trainer.val_check_interval", "trainer.limit_val_batches"),
    *("data.valid_clips", "data.clip_seconds", "data.max_test_clips"),
)
"""Settings that make another run but not another batch."""


def architecture(settings: dict[str, Any]) -> str:
    """A key that is the same for runs whose batches cost the same on this machine: weights count as there or not."""
    priced = {
        key: bool(value) if key.startswith("model.weights.") else value
        for key, value in experiment_settings(settings).items()
        if not any(key == free or key.startswith(f"{free}.") for free in WITHOUT_COST)
    }
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
    return hashlib.sha256(json.dumps([device, priced], sort_keys=True, default=str).encode()).hexdigest()[:16]


class Timings:
    """Seconds of a batch by architecture, kept in the folder of runs.

    Args:
        runs: the folder of runs.
    """

    def __init__(self, runs: Path) -> None:
        self.path = runs / TIMINGS

    def _read(self) -> dict[str, float]:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def seconds(self, cli: CodecCLI, devices: int = 1) -> float | None:
        """Seconds of a batch, timed now where they are not known; the experiment is spent by it.

        Args:
            cli: the experiment, built for one device with ``--dry-run``.
            devices: how many share a batch.

        Returns:
            None where it cannot be timed; training will say why.
        """
        key = f"{architecture(cli.settings)}-{devices}"
        known = self._read().get(key)
        if known is not None:
            return float(known)
        try:
            found = time_batch(cli, -(-cli.datamodule.batch_size // devices))
        except Exception:
            return None
        write_atomically(self.path, json.dumps(self._read() | {key: round(found, 4)}))
        return found


class Stopwatch(Callback):
    """Times training batches: first of one item each, then whole ones where these are affordable.

    Args:
        items: in a whole batch, on this device.
    """

    def __init__(self, items: int) -> None:
        self.items = items
        self.single: list[float] = []
        self.whole: list[float] = []

    @property
    def seconds(self) -> float:
        """Of a whole batch: the median after the warm-up, else as many times one item's as it has items."""
        return median(self.whole[WARM_UP:]) if len(self.whole) > WARM_UP else self.single[-1] * self.items

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Cut the batch and start the clock."""
        items = 1 if len(self.single) < 2 else self.items
        batch["audio"], batch["item"] = batch["audio"][:items], batch["item"][:items]
        self.began = _now(trainer)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock, and the training once enough is known."""
        (self.single if len(self.single) < 2 else self.whole).append(_now(trainer) - self.began)
        affordable = trainer.strategy.root_device.type == "cuda" or self.single[-1] * self.items <= AFFORDABLE
        if len(self.single) == 2 and (len(self.whole) == WARM_UP + TIMED or not affordable):
            trainer.fit_loop.epoch_loop.max_steps = trainer.global_step


def _now(trainer: lightning.Trainer) -> float:
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic()


def time_batch(cli: CodecCLI, items: int) -> float:
    """Seconds of a training batch, without reading it; the experiment is trained a few batches.

    Args:
        cli: the experiment, built for one device with ``--dry-run``.
        items: in a batch, on this device.
    """
    stopwatch = Stopwatch(items)
    cli.model.discriminator_warmup = 0
    cli.model.quantizer_start_frames = 0  # k-means over many batches is done once in a run, not in each batch
    cli.datamodule.workers = 0
    # Of the trainer's own callbacks none may act: they would write into the run's folder.
    setattr(cli.trainer, "callbacks", [stopwatch])  # noqa: B010 (its stubs do not know the attribute)
    cli.trainer.limit_val_batches = 0
    cli.trainer.fit_loop.epoch_loop.max_steps = 2 + WARM_UP + TIMED
    cli.datamodule.n_batches = 2 + WARM_UP + TIMED
    cli.trainer.fit(cli.model, cli.datamodule)
    return stopwatch.seconds
