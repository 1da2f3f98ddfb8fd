"""How many files a run left out, and why: kept in its folder, and said at its end."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.recording import Corpus

NAME = "left_out.json"
"""Where a run's folder keeps them."""

INFO = "left_out"
"""Where an evaluation's ``info`` keeps them."""


def read_left_out(folder: Path) -> LeftOut:
    """What a run's training left out; of a run that ended before this was kept, nothing."""
    path = folder / NAME
    return LeftOut(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else LeftOut()


def note_left_out(info: dict[str, Any], corpus: Corpus, clips: Clips) -> None:
    """Keep in an evaluation's ``info`` what it left out of a corpus, once its clips were read."""
    info[INFO] = asdict(LeftOut.of(corpus, clips.left_out, clips.shorter))


def noted(info: dict[str, Any]) -> LeftOut:
    """What an evaluation left out; of one that was made before this was kept, nothing."""
    return LeftOut(**info.get(INFO, {}))


def say_left_out(title: str, left_out: LeftOut) -> None:
    """Tell the user which files were left out, where there are any."""
    if line := left_out.line:
        print(f"{title}: {line}", file=sys.stderr)


class CountLeftOut(Callback):
    """Collects the files that could not be read, or are shorter than listed, and says them at the end.

    Args:
        name: the run's.
        folder: where they are kept, too; None keeps them nowhere.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self.found: dict[str, str] = {}
        self.shorter: dict[str, str] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the files so far."""
        return {"found": dict(self.found), "shorter": dict(self.shorter)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` kept."""
        self.found = dict(state_dict["found"])
        self.shorter = dict(state_dict.get("shorter", {}))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note what could not be read for the batch."""
        self._note(batch)

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
        self._note(batch)

    on_test_batch_end = on_validation_batch_end

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say how many files were left out and why, those that were before the first batch included."""
        self._say(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """As after training, where only validation was asked for."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._say(trainer)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """As after training."""
        self._say(trainer)

    def _note(self, batch: Any) -> None:
        self.found |= dict(batch.get("left_out", ()))
        self.shorter |= dict(batch.get("shorter", ()))

    def _say(self, trainer: lightning.Trainer) -> None:
        corpus = getattr(getattr(trainer, "datamodule", None), "corpus", None)
        if corpus is None:
            return
        if trainer.world_size > 1:
            parts: list[tuple[dict[str, str], dict[str, str]]] = [({}, {}) for _ in range(trainer.world_size)]
            # Each device reads its own share of a batch.
            torch.distributed.all_gather_object(parts, (self.found, self.shorter))
            self.found = {name: reason for part, _ in parts for name, reason in part.items()}
            self.shorter = {name: how for _, part in parts for name, how in part.items()}
        if not trainer.is_global_zero:
            return
        left_out = LeftOut.of(corpus, self.found, self.shorter)
        if self.folder is not None:
            write_atomically(self.folder / NAME, json.dumps(asdict(left_out), indent=2, ensure_ascii=False) + "\n")
        say_left_out(self.name, left_out)
