"""How many files a run left out, and why: stored in its folder, and printed at its end."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.left_out import LeftOut

NAME = "left_out.json"
"""File in a run's folder that stores them."""

INFO = "left_out"
"""Key in an evaluation's ``info`` that stores them."""


def read_left_out(folder: Path) -> LeftOut:
    """The files that a run's training left out; empty for a run that is older than this record."""
    path = folder / NAME
    return _from_record(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})


def note_left_out(info: dict[str, Any], left_out: LeftOut) -> None:
    """Store in an evaluation's ``info`` the files that it left out."""
    info[INFO] = _as_record(left_out)


def noted(info: dict[str, Any]) -> LeftOut:
    """The files that an evaluation left out; empty for one that is older than this record."""
    return _from_record(info.get(INFO, {}))


def _as_record(left_out: LeftOut) -> dict[str, Any]:
    return {"files": left_out.files, "reasons": left_out.reasons, "shorter": left_out.shorter}


def _from_record(record: Mapping[str, Any]) -> LeftOut:
    return LeftOut(record.get("files", 0), record.get("reasons", {}), record.get("shorter", {}))


def say_left_out(title: str, left_out: LeftOut) -> None:
    """Print the files that were left out, if there are any."""
    if line := left_out.line:
        print(f"{title}: {line}", file=sys.stderr)


class CountLeftOut(Callback):
    """Collects the files that could not be read, or are shorter than listed, and prints them at the end.

    Args:
        name: name of the run.
        folder: folder to store them in; None stores them nowhere.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self.reasons: dict[str, str] = {}
        self.shorter: dict[str, str] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the files so far."""
        return {"found": dict(self.reasons), "shorter": dict(self.shorter)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.reasons = dict(state_dict["found"])
        self.shorter = dict(state_dict.get("shorter", {}))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note what could not be read for the batch."""
        self.reasons |= dict(batch.get("left_out", ()))
        self.shorter |= dict(batch.get("shorter", ()))

    on_train_batch_end = on_test_batch_end = on_validation_batch_end

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print how many files were left out and why, including those before the first batch."""
        self._say(trainer)

    on_test_end = on_train_end

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the files of a command that only validates."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._say(trainer)

    def _say(self, trainer: Trainer) -> None:
        corpus = getattr(getattr(trainer, "datamodule", None), "corpus", None)
        if corpus is None:
            return
        if trainer.world_size > 1:
            parts: list[tuple[dict[str, str], dict[str, str]]] = [({}, {}) for _ in range(trainer.world_size)]
            # Each device reads its own share of a batch.
            torch.distributed.all_gather_object(parts, (self.reasons, self.shorter))
            self.reasons = {name: reason for part, _ in parts for name, reason in part.items()}
            self.shorter = {name: how for _, part in parts for name, how in part.items()}
        if not trainer.is_global_zero:
            return
        left_out = LeftOut.of(corpus, self.reasons, self.shorter)
        if self.folder is not None:
            write_atomically(self.folder / NAME, json.dumps(_as_record(left_out), indent=2, ensure_ascii=False) + "\n")
        say_left_out(self.name, left_out)
