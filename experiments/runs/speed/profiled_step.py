"""A training batch's time, its launches and the share of it in which the device is busy, as JSON.

    python -m codeclab.experiments.runs.speed.profiled_step --config dac_44khz_ablation --to dac.json
    python -m codeclab.experiments.runs.speed.profiled_step --released CHECKOUT --config dac_44khz --to both.json

Every flag of ``codeclab fit`` is taken. With ``--released``, the training loop of a checkout of descript-audio-codec
and ours do the same size of step in turns, each on one batch that stays in memory. The JSON has the names of the peers'
harness: ``results``, each with ``impl``, ``phases`` and ``wall_s``.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from codeclab.benchmarks.speed.device_use import DeviceUse, device_use, profiler, wait_for, waited_for
from codeclab.benchmarks.speed.released_dac import SAMPLE_RATE, released_step
from codeclab.benchmarks.speed.timed import spread
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.memory import keep_freed_memory
from codeclab.codecs.timing import in_turns
from codeclab.experiments.runs.build import CodecCLI, build
from codeclab.experiments.runs.quiet import quiet
from codeclab.experiments.runs.speed.step_time import measure_built, train_briefly
from codeclab.experiments.train.cuda_graphs import WARM_UP

PROFILED = 2
"""Batches under the profiler."""


class ProfileBatches(Callback):
    """Profiles the last ``PROFILED`` batches of a training, ``after`` those before them."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.use: DeviceUse | None = None
        self._seen = 0

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Begin with the first of these batches."""
        if self._seen == self.after:
            device = trainer.strategy.root_device
            self._profiler = profiler(device)
            wait_for(device)
            self._profiler.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """End with the last of them."""
        self._seen += 1
        if self._seen == self.after + PROFILED:
            device = trainer.strategy.root_device
            wait_for(device)
            self._profiler.stop()
            self.use = device_use(self._profiler, device, PROFILED)


def profile_batches(cli: CodecCLI) -> DeviceUse:
    """What a batch of a built experiment asks of its device, as a mean of ``PROFILED`` batches that are trained."""
    after = WARM_UP + 1 if cli.model.cuda_graphs else 1
    use = train_briefly(cli, after + PROFILED, ProfileBatches(after)).use
    assert use is not None
    return use


def phase(seconds: Sequence[float], use: DeviceUse) -> dict[str, Any]:
    """The figures of one work, by the names of the peers' harness."""
    wall = spread(seconds)
    share = use.busy / wall["median"]
    return {"wall_s": wall, "launches": round(use.launches), "busy_s": use.busy, "busy_share": share}


def profiled_step(flags: Sequence[str], batches: int, warm_up: int) -> dict[str, Any]:
    """Time batches as ``measure_built`` does, then profile others; returns the entry of ``results``."""
    cli = build("fit", [*flags, "--dry-run"])
    time = measure_built(cli, batches, warm_up)
    figures = phase(time.seconds, profile_batches(cli))
    memory = "peak_gpu_mb" if time.device.type == "cuda" else "peak_rss_mb"
    middle = figures["wall_s"]["median"]
    figures |= {memory: time.memory * 1024, "parts_s": {part: share * middle for part, share in time.shares.items()}}
    info = {
        "recipe": cli.request.recipe,
        "scale": cli.request.scale,
        "precision": str(cli.config.trainer.precision),
        "batch": time.items,
        "seconds": cli.datamodule.seconds,
    }
    return _entry("codeclab", time.items * cli.datamodule.seconds, info, figures)


def _entry(name: str, audio_seconds: float, info: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    entry = {"impl": name, "torch": torch.__version__, "info": info, "audio_seconds": audio_seconds}
    return entry | {"phases": {"step": figures}}


class BesideReleased(Callback):
    """Trains on, in turns with the released DAC, with the batch that the trainer has just made.

    Args:
        checkout: the folder of descript-audio-codec.
        sizes: arguments of its networks other than the defaults, by class.
        batches: steps of either that count.
        warm_up: steps of either before these, at least one.

    Attributes:
        entries: entries of ``results``, the released one first.
    """

    def __init__(self, checkout: Path, sizes: Mapping[str, Mapping[str, Any]], batches: int, warm_up: int) -> None:
        self.checkout = checkout
        self.sizes = sizes
        self.batches = batches
        self.warm_up = warm_up
        self.entries: list[dict[str, Any]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Time both, then profile a step of each; here all of ours is on the device, which it leaves after training."""
        audio, device = batch["audio"], trainer.strategy.root_device
        items, seconds = audio.shape[0], audio.shape[-1] / SAMPLE_RATE
        theirs = released_step(self.checkout, items, seconds, self.sizes)

        ours = partial(trainer.strategy.training_step, batch, batch_idx)
        works = {"descript-audio-codec": waited_for(theirs, device), "codeclab": waited_for(ours, device)}
        in_turns(works, self.warm_up - 1)
        taken = in_turns(works, self.batches)
        for name, work in works.items():
            profiling = profiler(device)
            with profiling:
                work()
            info = {"precision": "32-true", "held": True, "batch": items, "seconds": round(seconds, 3)}
            figures = phase(taken[name], device_use(profiling, device))
            self.entries.append(_entry(name, items * seconds, info, figures))
        ratio = median(peer / own for peer, own in zip(*taken.values(), strict=True))
        self.entries[1]["speedup_over_first"] = {"step": ratio}


def main(argv: list[str] | None = None) -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m codeclab.experiments.runs.speed.profiled_step", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--to", type=Path, metavar="FILE", required=True, help="where the JSON is written")
    parser.add_argument("--batches", type=int, default=8, help="batches timed (default: 8)")
    parser.add_argument("--warm-up", type=int, default=5, help="batches before these (default: 5)")
    parser.add_argument("--released", type=Path, metavar="CHECKOUT", help="of descript-audio-codec, to stand beside")
    parser.add_argument(
        "--released-sizes", type=json.loads, default={}, metavar="JSON", help="arguments of its networks"
    )
    options, flags = parser.parse_known_args(argv)
    if min(options.batches, options.warm_up) < 1:
        parser.error("--batches and --warm-up should be 1 or more")

    quiet()
    keep_freed_memory()
    if options.released:
        beside = BesideReleased(options.released, options.released_sizes, options.batches, options.warm_up)
        results = train_briefly(build("fit", [*flags, "--dry-run"]), 1, beside).entries
    else:
        results = [profiled_step(flags, options.batches, options.warm_up)]
    write_atomically(options.to, json.dumps({"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
