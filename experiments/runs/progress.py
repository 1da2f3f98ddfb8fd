"""Progress of training, with the time left: a bar in a terminal, a line now and then in a log."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console, RenderableType
from rich.progress import Progress
from rich.text import Text

from codeclab.benchmarks.evaluate.progress import bar_columns
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import duration
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.train.logs import TrainingLogs


class TrainingBar(Progress):
    """The bar of a training run, with its latest figures in separate lines, so that none is cut off."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """The bar, and what the field ``figures`` of its task holds."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["figures"]:
                yield Text(task.fields["figures"])


FIRST_LINE = 10
"""Batches after which a log gets its first line."""

BETWEEN_LINES = 120.0
"""Seconds between two lines of a log, at least."""


class RunProgress(Callback):
    """Shows the progress of a run, its speed and its losses.

    Args:
        folder: the run; ``timing.json`` in it says how long its training took, over all its continuations.
        logs: source of all losses; None shows only the main ones.
        clock: function that returns the time in seconds, ever growing.
    """

    def __init__(
        self, folder: RunFolder, logs: TrainingLogs | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self.logs = logs
        self.clock = clock
        self.name = folder.path.name
        self.seconds = 0.0
        self.bar = TrainingBar(*bar_columns(), console=Console(stderr=True), disable=not sys.stderr.isatty())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: seconds of training so far."""
        return {"seconds": self.seconds + self.clock() - self.began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.seconds = state_dict["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        self.began, self.first = self.clock(), trainer.global_step
        self._said = self.began
        self._paced = self._timed = self.began, self.first
        if trainer.is_global_zero:
            self.bar.start()
            self.task = self.bar.add_task(self.name, total=trainer.max_steps, completed=trainer.global_step, figures="")
            if self.first:
                print(f"{self.name}: continuing after batch {self.first}", file=sys.stderr, flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move the bar, or write a line: after ten batches, then every two minutes, and after the last."""
        if not trainer.is_global_zero:
            return
        step, total, now = trainer.global_step, trainer.max_steps, self.clock()
        done = step - self.first
        if not self.bar.disable:
            speed = pace(done, now - self.began)
            self.bar.update(self.task, completed=step, figures="  ".join([speed, *self._figures(trainer)]))
        elif done == FIRST_LINE or now - self._said >= BETWEEN_LINES or step == total:
            speed = pace(step - self._paced[1], now - self._paced[0])
            left = (now - self._timed[0]) / (step - self._timed[1]) * (total - step)
            parts = [f"{self.name}: batch {step}/{total}", speed, f"{duration(now - self.began)} spent"]
            print(", ".join([*parts, f"{duration(left)} left", *self._figures(trainer)]), file=sys.stderr, flush=True)
            self._said, self._paced = now, (now, step)
        elif done == 1:  # the first batch has what is done once: k-means, compilation, first touches of memory
            self._paced = self._timed = now, step

    def _figures(self, trainer: Trainer) -> list[str]:
        values = {name: float(value) for name, value in trainer.progress_bar_metrics.items()}
        if self.logs is not None:
            losses = {key[6:]: value for key, value in self.logs.latest.items() if key.startswith("train/")}
            values = losses | {name: value for name, value in values.items() if "/" in name}
        return [f"{name} {value:.3g}" for name, value in values.items()]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar, and write how long training took."""
        self.bar.stop()
        if trainer.is_global_zero and self.folder.path.is_dir():
            timing = {"train_seconds": round(self.seconds + self.clock() - self.began, 1)}
            with suppress(OSError):  # a disk that is full ends no training for this
                write_atomically(self.folder.timing, json.dumps(timing))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Close the bar."""
        self.bar.stop()


def pace(batches: int, seconds: float) -> str:
    """A rate, as ``4.2 batches/s`` or, for slow batches, ``7.5 s/batch``."""
    if batches <= 0 or seconds <= 0:
        return "- batches/s"
    rate = batches / seconds
    return f"{rate:.3g} batches/s" if rate >= 1 else f"{1 / rate:.3g} s/batch"
