"""How long a training batch takes, where its time goes and how much memory it needs.

    python -m codeclab.experiments.runs.speed.step_time --config dac_44khz --trainer.precision bf16-mixed

Every flag of ``codeclab fit`` is taken. Batches run through a trainer, on noise of the built-in corpus unless
``--data`` names another; first undisturbed, then with the device waited for at the seams between the parts. Steps that
are taken apart are not replayed as CUDA graphs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from lightning.pytorch.callbacks import Callback

from codeclab.codecs.memory import keep_freed_memory
from codeclab.experiments.runs.build import CodecCLI, build
from codeclab.experiments.runs.quiet import quiet
from codeclab.experiments.train.logs import memory_figures
from codeclab.experiments.train.profiling import PARTS, REST, BatchTimer

COLUMNS = (*PARTS, REST)
HEADER = (
    f"| flags | ms a batch | lowest to highest | items/s | GiB | {' | '.join(COLUMNS)} |\n"
    f"|:---|{'---:|' * (len(COLUMNS) + 4)}"
)


Watcher = TypeVar("Watcher", bound=Callback)


def train_briefly(cli: CodecCLI, batches: int, callback: Watcher) -> Watcher:
    """Train a few batches of a built experiment, on a trainer of their own; returns the callback, which watched them.

    Args:
        cli: the experiment, built with ``--dry-run``; it is trained by this, and may be trained again.
        batches: number of batches to train.
        callback: callback of the trainer.
    """
    cli.datamodule.n_batches = batches
    cli.brief_trainer(batches, callback).fit(cli.model, cli.datamodule)
    return callback


def time_batches(cli: CodecCLI, batches: int, apart_from: int | None = None) -> BatchTimer:
    """The times of a few batches, as ``train_briefly`` trains them; those from ``apart_from`` on are taken apart."""
    return train_briefly(cli, batches, BatchTimer(apart_from))


def most_memory(device: torch.device) -> float:
    """The most memory that was used so far, GiB: of the GPU, else of the process."""
    figures = memory_figures(device)
    return figures.get("speed/gpu_memory_gib", figures.get("speed/memory_gib", 0.0))


def joining_after(cli: CodecCLI, batches: int) -> dict[str, int]:
    """The batch at which the quantizer and the discriminators join, of those that join after so many ``batches``.

    Returns:
        batch by ``quantizer_start`` or ``adversarial_start``.
    """
    schedule = cli.model.schedule
    starts = {"quantizer_start": schedule.quantizer_start}
    starts |= {"adversarial_start": schedule.adversarial_start} if cli.model.discriminators else {}
    return {setting: start for setting, start in starts.items() if start >= batches}


@dataclass(frozen=True)
class StepTime:
    """The time of a training's batches.

    Attributes:
        seconds: time of each batch, data included, s.
        items: number of items in a batch.
        memory: the most that was used, GiB: of the GPU, else of the process.
        shares: share of each part in the time of the batches that were taken apart, 0 to 1.
        device: device on which they were trained.
        joining_at: batches at which further parts would have joined, as ``joining_after`` gives them.
    """

    seconds: Sequence[float]
    items: int
    memory: float
    shares: dict[str, float]
    device: torch.device
    joining_at: dict[str, int] = field(default_factory=dict)

    @property
    def largest(self) -> str:
        """The part that takes most of a batch, and its share."""
        part = max(self.shares, key=self.shares.__getitem__)
        return f"{part}, {100 * self.shares[part]:.0f} %"

    def row(self, flags: str) -> str:
        """A line of a Markdown table; ``HEADER`` goes above it."""
        parts = " | ".join(f"{100 * self.shares[part]:.0f} %" for part in COLUMNS)
        middle = median(self.seconds)
        spread = f"{1000 * min(self.seconds):.1f} to {1000 * max(self.seconds):.1f}"
        speed = f"{1000 * middle:.1f} | {spread} | {self.items / middle:.1f} | {self.memory:.2f}"
        return f"| {flags} | {speed} | {parts} |"


def measure(flags: list[str], batches: int, warm_up: int) -> StepTime:
    """Measure the experiment that flags of ``codeclab fit`` describe, as ``measure_built`` does."""
    return measure_built(build("fit", [*flags, "--dry-run"]), batches, warm_up)


def measure_built(cli: CodecCLI, batches: int, warm_up: int) -> StepTime:
    """Train a few batches of an experiment and say what they took.

    Args:
        cli: the experiment, built with ``--dry-run``.
        batches: number of batches that are timed undisturbed, and of further ones that are then taken apart.
        warm_up: batches before these, in which memory is laid out, kernels are chosen and code is compiled.
    """
    timed = warm_up + 2 * batches
    timer = time_batches(cli, timed, apart_from=warm_up + batches)
    device = cli.trainer.strategy.root_device
    undisturbed = timer.seconds[warm_up : warm_up + batches]
    shares, joining_at = timer.shares(), joining_after(cli, timed)
    return StepTime(undisturbed, cli.datamodule.batch_size, most_memory(device), shares, device, joining_at)


def main(argv: list[str] | None = None) -> None:
    """Print a line of the table, and append it to a file where one is named."""
    parser = argparse.ArgumentParser(prog="python -m codeclab.experiments.runs.speed.step_time", description=__doc__)
    parser.add_argument("--batches", type=int, default=10, help="batches timed (default: 10)")
    parser.add_argument("--warm-up", type=int, default=5, help="batches before these (default: 5)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="a Markdown file to append the line to")
    options, flags = parser.parse_known_args(argv)

    quiet()
    keep_freed_memory()
    if min(options.batches, options.warm_up) < 1:
        parser.error("--batches and --warm-up should be 1 or more")
    row = measure(flags, options.batches, options.warm_up).row(" ".join(flags))
    print(HEADER, row, sep="\n")
    if options.to is not None:
        new = not options.to.exists()
        with options.to.open("a") as file:
            file.write(f"{HEADER}\n{row}\n" if new else f"{row}\n")


if __name__ == "__main__":
    main()
