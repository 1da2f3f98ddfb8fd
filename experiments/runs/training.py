"""A run's training, from its present batch to the last one or until a signal stops it."""

import sys

import lightning
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.utilities import rank_zero_only

from codeclab.experiments.runs import stopping
from codeclab.experiments.runs.folder import RunFolder


@rank_zero_only
def say(text: str) -> None:
    """Print a line once, however many processes there are."""
    print(text, file=sys.stderr)


def train_on(
    trainer: lightning.Trainer,
    model: LightningModule,
    data: LightningDataModule,
    folder: RunFolder,
    start: int,
    trained: str,
) -> None:
    """Train the rest of a run; if a signal stops it, the training is saved before the command ends.

    Args:
        trainer: with ``RunCheckpoint`` among its callbacks.
        model: that is trained.
        data: its batches begin at ``start``.
        folder: of the run, opened.
        start: batches trained already; all of them where nothing but a validation is left.
        trained: the line printed after the last batch.

    Raises:
        Stopped: a signal asked for it.
    """
    steps = trainer.max_steps
    if start >= steps:
        trainer.fit_loop.epoch_loop.max_steps = start + 1  # to begin at all, for the validation that is left
    # Lightning's own handlers end a batch half way, and take SIGTERM for a success.
    setattr(trainer._signal_connector, "register_signal_handlers", lambda: None)  # noqa: B010
    with stopping.stop_request().held() as stop:
        trainer.fit(model, data, ckpt_path=str(folder.last) if folder.last.is_file() else None)
    if trainer.global_step >= steps:
        say(trained)
    if stop.number is not None:
        raise stopping.Stopped(stop.number, told=True)
