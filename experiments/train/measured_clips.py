"""The clips on which a learnt rate is measured: those of ``AudioData``, or of any other loader."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import lightning
import torch
from torch import Tensor

from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.train.batch import validation_batch

TRAINING_BATCHES = 32
"""Batches of a training loader that are measured where nothing is validated."""


def measured_clips(trainer: lightning.Trainer, split: str, channels: int) -> Iterator[Tensor]:
    """The clips ``[1, C, N]`` of a split, on the CPU or wherever the loader has them; none where there are none.

    With ``AudioData``, every process gets all clips of the split. With any other loader, they are those of a new pass
    over as many batches as a validation reads, on one device: each of several would read its share only.

    Args:
        trainer: trainer of the experiment.
        split: ``train``, ``valid`` or ``test``.
        channels: channels of the codec.
    """
    data = getattr(trainer, "datamodule", None)
    if isinstance(data, AudioData):
        yield from (clip.audio[None] for clip in data.clips(split)) if getattr(data.corpus, split) else ()
        return
    if trainer.world_size > 1:
        warn_once(__name__, "a learnt rate is not measured on several devices without AudioData: train it on one")
        return
    with torch.random.fork_rng(devices=[]):  # a new pass draws from the generator of the training
        for loader, most in _loaders(trainer, split):
            for given in islice(loader, most):
                batch = validation_batch(given, channels)
                for audio, length in zip(batch.audio, batch.lengths, strict=True):
                    yield audio[None, :, :length]


def _loaders(trainer: lightning.Trainer, split: str) -> Iterator[tuple[Any, int | None]]:
    """Each loader of a split, and how many of its batches are read; None is all."""
    loaders: Any
    most: Any
    if split == "train":
        loaders, most = trainer.train_dataloader, TRAINING_BATCHES
    elif split == "valid":
        loaders, most = trainer.val_dataloaders, trainer.num_val_batches
    else:
        loaders, most = trainer.test_dataloaders, trainer.num_test_batches
    if loaders is None:
        return
    every = loaders.values() if isinstance(loaders, Mapping) else loaders if isinstance(loaders, list) else [loaders]
    for index, loader in enumerate(every):
        limit = most[index] if isinstance(most, list) else most
        yield loader, None if limit == float("inf") else int(limit)
