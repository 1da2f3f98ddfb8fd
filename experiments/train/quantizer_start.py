"""A quantizer that joins once there is something to quantize, its codebooks started from many batches."""

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
    """Start a codec's codebooks from the latents its encoder makes of audio now; a collective operation.

    A batch of a small training has some hundred frames: for 1,024 entries they leave all but the first codebooks empty,
    where fifty an entry fill them.

    Args:
        codec: its encoder stands still meanwhile.
        audio: this process's share of a batch ``[B, C, N]`` at a time, as many as are asked for; it may end sooner.
        n_frames: latent frames wanted, over all processes.
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
    """The audio ``[B, C, N]`` of a training batch and of those after it, read ahead: the training gets them again.

    They are a function of the batch's number alone where the data is an ``AudioData``, so a run that is stopped here
    and continued starts from the same frames. Of any other loader a fresh pass is taken.
    """
    yield batch.audio
    data = getattr(trainer, "datamodule", None)
    later = data.batches(batch.index + 1) if isinstance(data, AudioData) else trainer.train_dataloader
    for other in later or ():
        yield find_audio(other, channels)
