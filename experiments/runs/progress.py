"""Progress of training, with the time left: a bar in a terminal, a line now and then in a log."""

import json
import sys
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import Progress, TextColumn

from codeclab.benchmarks.evaluate.progress import bar_columns
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.folder import RunFolder


def training_bar() -> Progress:
    """The bar of a training run, with its latest figures; drawn only in a terminal."""
    return Progress(*bar_columns(), TextColumn("{task.fields[figures]}"), disable=not sys.stderr.isatty())


DAY = 24 * 3600


def clock(seconds: float) -> str:
    """Seconds as ``2:03``, ``1:02:03`` or, from two days on, ``3 days``."""
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.0f} days"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class RunProgress(Callback):
    """Shows how far a run is.

    Args:
        folder: the run; ``timing.json`` in it says how long its training took, over all its continuations.
        lines: how many lines a whole run writes where there is no terminal.
    """

    def __init__(self, folder: RunFolder, lines: int = 5) -> None:
        self.folder = folder
        self.name = folder.path.name
        self.seconds = 0.0
        self.lines = lines
        self.bar = training_bar()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: seconds of training so far."""
        return {"seconds": self.seconds + time.monotonic() - self.began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.seconds = state_dict["seconds"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open the bar."""
        self.began, self.first = time.monotonic(), trainer.global_step
        if trainer.is_global_zero:
            self.bar.start()
            self.task = self.bar.add_task(self.name, total=trainer.max_steps, completed=trainer.global_step, figures="")
            if self.first:
                print(f"{self.name}: continuing after batch {self.first}", file=sys.stderr)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, or write a line."""
        if not trainer.is_global_zero:
            return
        step, total = trainer.global_step, trainer.max_steps
        if not self.bar.disable:
            self.bar.update(self.task, completed=step, figures=self._figures(trainer))
        elif step % max(1, total // self.lines) == 0 or step == total:
            spent = time.monotonic() - self.began
            left = spent / (step - self.first) * (total - step)
            times = f"{clock(spent)} spent, {clock(left)} left"
            print(f"{self.name}: batch {step}/{total}, {times}, {self._figures(trainer)}", file=sys.stderr)

    def _figures(self, trainer: lightning.Trainer) -> str:
        return "  ".join(f"{name} {float(value):.3g}" for name, value in trainer.progress_bar_metrics.items())

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close the bar, and write how long training took."""
        self.bar.stop()
        if trainer.is_global_zero and self.folder.path.is_dir():
            timing = {"train_seconds": round(self.seconds + time.monotonic() - self.began, 1)}
            write_atomically(self.folder.path / "timing.json", json.dumps(timing))

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar."""
        self.bar.stop()
