"""How many files a run left out, and why: said at its end."""

import sys
from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from codeclab.benchmarks.evaluate.wording import counted
from codeclab.experiments.data.recording import of_no_use

SHOWN = 3
"""Files named."""


def left_out_line(left_out: Mapping[str, str], files: int) -> str:
    """A sentence on the files left out, by name with the reason; empty where there are none.

    Args:
        left_out: reasons by name.
        files: how many there are in all.
    """
    if not left_out:
        return ""
    named = "; ".join(f"{name} ({reason})" for name, reason in list(left_out.items())[:SHOWN])
    more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return f"{len(left_out)} of {counted(files, 'file')} left out: {named}{more}"


class CountLeftOut(Callback):
    """Collects the files that training and validation could not read, and says them at the end.

    Args:
        name: the run's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: dict[str, str] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the files left out so far."""
        return {"found": dict(self.found)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.found = dict(state_dict["found"])

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note what could not be read for the batch."""
        self.found |= dict(batch.get("left_out", ()))

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the clips that could not be read."""
        self.found |= dict(batch.get("left_out", ()))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say how many files were left out and why, those that were before the first batch included."""
        corpus = getattr(getattr(trainer, "datamodule", None), "corpus", None)
        if corpus is None or not trainer.is_global_zero:
            return
        useless = dict(of_no_use(corpus.skipped))
        files = len(corpus.train) + len(corpus.valid) + len(corpus.test) + len(useless)
        line = left_out_line(useless | self.found, files)
        if line:
            print(f"{self.name}: {line}", file=sys.stderr)
