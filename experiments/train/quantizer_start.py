"""Initialization of codebooks from many batches, for a quantizer that joins the training late."""

from collections.abc import Iterator

import lightning
import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.train.batch import TrainingBatch, find_audio
from codeclab.experiments.train.orders import standing_still
from codeclab.quantizers.distributed import world_size


def start_codebooks(codec: Codec, audio: Iterator[Tensor], n_frames: int) -> None:
    """Initialize a codec's codebooks from the current encoder's latents; a collective operation.

    A batch of a small training has a few hundred frames. With 1,024 entries these fill the first codebooks only,
    whereas fifty frames per entry fill all.

    Args:
        codec: codec to initialize; its encoder is not changed.
        audio: iterator over this process's parts of batches, ``[B, C, N]``, which is read as far as needed.
        n_frames: number of latent frames to use, over all processes.
    """
    device = next(codec.parameters()).device
    frames: list[Tensor] = []
    with standing_still(codec):
        for batch in audio:
            latent = codec.encoder(batch.to(device)).float()
            frames.append(latent.transpose(1, 2).flatten(0, 1))
            if sum(map(len, frames)) * world_size() >= n_frames:
                break
        codec.quantizer.start_from(torch.cat(frames), len(frames[0]))


def audio_from(batch: TrainingBatch, trainer: lightning.Trainer, channels: int) -> Iterator[Tensor]:
    """The audio ``[B, C, N]`` of a training batch and of later ones; the training reads them again.

    With ``AudioData``, later batches are a function of their index alone, so that a resumed run starts from the same
    frames. With any other loader, they are those of a new pass.
    """
    yield batch.audio
    data = getattr(trainer, "datamodule", None)
    later = data.batches(batch.index + 1) if isinstance(data, AudioData) else trainer.train_dataloader
    for other in later or ():
        yield find_audio(other, channels)
