"""How long a training batch takes, where its time goes and how much memory it needs.

    python -m codeclab.experiments.runs.step_time --config dac_44khz --trainer.precision bf16-mixed --model.compile true

Every flag of ``codeclab fit`` is taken. Batches run through the trainer itself, on noise of the built-in corpus unless
``--data`` names another; first undisturbed, then with the device waited for at the seams between the parts.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.process import keep_freed_memory, quiet
from codeclab.experiments.train.logs import memory_figures
from codeclab.experiments.train.orders import GeneratorLosses
from codeclab.experiments.train.player import Player
from codeclab.experiments.train.update import Update

PARTS = (
    *("data", "codec forward", "losses", "discriminators forward"),
    *("output gradients", "balancer", "backward", "optimizers"),
)
"""Where a batch's time is looked for; what lies between them is the rest."""

HEADER = (
    "| flags | ms a batch | items/s | GiB | " + " | ".join(PARTS) + " | rest |\n|:---|" + "---:|" * (len(PARTS) + 4)
)
GIB = 2**30


class Parts:
    """Seconds spent in named parts; a part called inside another is taken out of that one.

    Args:
        now: seconds, ever growing, once the device has done what it was given.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.active = False
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._mark = 0.0

    def enter(self, part: str) -> None:
        """What follows belongs to a part."""
        self._take()
        self._inside.append(part)

    def leave(self) -> None:
        """What follows belongs to the part around."""
        self._take()
        self._inside.pop()

    def _take(self) -> None:
        now = self.now()
        if self._inside:
            self.seconds[self._inside[-1]] += now - self._mark
        self._mark = now

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Time the calls of a method, of one object or of a whole class."""
        method = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return method(*args, **kwargs)
            self.enter(part)
            try:
                return method(*args, **kwargs)
            finally:
                self.leave()

        setattr(owner, name, timed)


@dataclass(frozen=True)
class StepTime:
    """What was found.

    Attributes:
        seconds: of a batch, its median, data included.
        items: in a batch.
        memory: the most that was used, GiB: of the GPU, else of the process.
        shares: of each part in the time of the batches that were taken apart.
    """

    seconds: float
    items: int
    memory: float
    shares: dict[str, float]

    def row(self, flags: str) -> str:
        """A line of a Markdown table; ``HEADER`` goes above it."""
        parts = " | ".join(f"{100 * self.shares[part]:.0f} %" for part in (*PARTS, "rest"))
        speed = f"{1000 * self.seconds:.1f} | {self.items / self.seconds:.1f} | {self.memory:.2f}"
        return f"| {flags} | {speed} | {parts} |"


def measure(flags: list[str], batches: int, warm_up: int) -> StepTime:
    """Train a few batches of an experiment and say what they took.

    Args:
        flags: of ``codeclab fit``.
        batches: how many are timed undisturbed, and how many are then taken apart.
        warm_up: batches before these, in which memory is laid out, kernels are chosen and code is compiled.
    """

    cli = build("fit", [*flags, "--dry-run"])
    model, trainer = cli.model, cli.trainer

    def now() -> float:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    parts = Parts(now)
    parts.wrap(model.codec, "forward", "codec forward")
    for ensemble in model.discriminators:
        parts.wrap(ensemble, "forward", "discriminators forward")
    if model.balancer is not None:
        parts.wrap(model.balancer, "combine", "balancer")
    seams = [
        (GeneratorLosses, "gradients", "output gradients"),
        (GeneratorLosses, "weighted_gradient", "output gradients"),
        (Update, "measure", "losses"),
        (Update, "teach", "backward"),
        (Player, "step", "optimizers"),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in seams]
    for owner, name, part in seams:
        parts.wrap(owner, name, part)
    clock = _clock(parts, warm_up, batches)
    # Of the trainer's own callbacks none may act: they would write into the run's folder.
    setattr(trainer, "callbacks", [clock])  # noqa: B010 (its stubs do not know the attribute)
    trainer.limit_val_batches = 0
    trainer.fit_loop.epoch_loop.max_steps = cli.datamodule.n_batches = warm_up + 2 * batches
    try:
        trainer.fit(model, cli.datamodule)
    finally:
        for owner, name, method in originals:
            setattr(owner, name, method)
    figures = memory_figures(trainer.strategy.root_device)
    memory = figures.get("speed/gpu_memory_gib", figures.get("speed/memory_gib", 0.0))
    total = sum(parts.seconds.values())
    shares = {part: parts.seconds[part] / total for part in (*PARTS, "rest")}
    return StepTime(median(clock.undisturbed), cli.datamodule.batch_size, memory, shares)


def _clock(parts: Parts, warm_up: int, batches: int) -> Any:
    """A callback that times batches from the end of one to the end of the next."""

    class Clock(Callback):
        def __init__(self) -> None:
            self.undisturbed: list[float] = []
            self.done = 0
            self.began = 0.0

        def on_train_batch_start(self, *_: Any) -> None:
            if parts.active:
                parts.leave()
                parts.enter("rest")

        def on_train_batch_end(self, *_: Any) -> None:
            if parts.active:
                parts.leave()
            now, self.done = parts.now(), self.done + 1
            if warm_up < self.done <= warm_up + batches:
                self.undisturbed.append(now - self.began)
            parts.active = self.done >= warm_up + batches
            if parts.active:
                parts.enter("data")
            self.began = now

    return Clock()


def main(argv: list[str] | None = None) -> None:
    """Print a line of the table, and append it to a file where one is named."""
    parser = argparse.ArgumentParser(prog="python -m codeclab.experiments.runs.step_time", description=__doc__)
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
