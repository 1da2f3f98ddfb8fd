"""How long a batch takes: a few real ones of a built experiment, kept so that none is timed twice."""

import hashlib
import json
from pathlib import Path
from statistics import median
from typing import Any

import torch

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.build import CodecCLI
from codeclab.experiments.runs.folder import experiment_settings
from codeclab.experiments.runs.speed.step_time import time_batches

TIMINGS = ".timings.json"
"""File beside the runs that keeps the seconds of a batch."""

AFFORDABLE = 5.0
"""Seconds that a whole batch may be expected to take on a CPU; of longer ones only one item is timed."""

SINGLE = 2
"""Batches of one item, of which the last counts."""

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


def batch_seconds(cli: CodecCLI, runs: Path, devices: int = 1) -> float | None:
    """Seconds of a batch, timed now where none of its architecture was timed before; the experiment is spent by it.

    Args:
        cli: the experiment, built for one device with ``--dry-run``.
        runs: the folder of runs, beside which they are kept.
        devices: number of devices that share a batch.

    Returns:
        None where it cannot be timed; training will say why.
    """
    key = f"{architecture(cli.settings)}-{devices}"
    known = _stored(runs).get(key)
    if known is not None:
        return float(known)
    try:
        seconds = time_batch(cli, -(-cli.datamodule.batch_size // devices))
    except Exception:
        return None
    write_atomically(runs / TIMINGS, json.dumps(_stored(runs) | {key: round(seconds, 4)}))
    return seconds


def _stored(runs: Path) -> dict[str, float]:
    try:
        content = json.loads((runs / TIMINGS).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def time_batch(cli: CodecCLI, items: int) -> float:
    """Seconds of a training batch, without reading it; the experiment is trained a few batches.

    Batches of one item come first, and whole ones only where these are affordable; else it is as many times one item's
    seconds as it has items. ``cli`` is built for one device with ``--dry-run``.
    """
    cli.model.schedule.discriminator_warmup = 0
    cli.model.quantizer_start_frames = 0  # k-means over many batches is done once in a run, not in each batch
    cli.datamodule.workers = 0
    cli.datamodule.batch_size = 1
    whole = time_batches(cli, SINGLE).worked[-1] * items
    if cli.trainer.strategy.root_device.type != "cuda" and whole > AFFORDABLE:
        return whole
    cli.datamodule.batch_size = items
    return median(time_batches(cli, WARM_UP + TIMED).worked[WARM_UP:])
