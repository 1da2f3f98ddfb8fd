"""The input of a training or a validation step: batches of ``AudioData``, or of any other loader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainingBatch:
    """A batch of audio to train on.

    Attributes:
        audio: ``[B, C, N]`` in [-1, 1].
        items: positions of the items in the global batch, ``int64 [B]``.
        index: index of the batch, from 0.
    """

    audio: Tensor
    items: Tensor
    index: int


@dataclass(frozen=True)
class ValidationBatch:
    """A batch of clips to measure.

    Attributes:
        audio: ``[B, C, N]``, padded to one length.
        lengths: length of each clip, samples.
        domains: domain of each clip; None if the loader does not provide it.
        names: name of each clip, or its position in the batch if the loader does not provide it.
    """

    audio: Tensor
    lengths: list[int]
    domains: list[str] | None
    names: list[str]


def training_batch(given: Any, channels: int, index: int, rank: int = 0) -> TrainingBatch:
    """A batch as a loader gives it.

    Args:
        given: audio ``[B, C, N]`` on its own, alone in a list or tuple (as ``TensorDataset`` gives it), or as ``audio``
            in a mapping, which may hold ``item`` and ``batch`` too, as those of ``AudioData`` do.
        channels: channels of the codec.
        index: batches before this one; where the mapping has a ``batch``, that counts.
        rank: rank of this process; without an ``item``, all processes are assumed to have batches of one size.

    Raises:
        TypeError: there is no audio in it, or not of this shape.
    """
    audio = find_audio(given, channels)
    if isinstance(given, Mapping):
        index = int(given.get("batch", index))
        if "item" in given:
            return TrainingBatch(audio, given["item"], index)
    items = rank * len(audio) + torch.arange(len(audio))
    return TrainingBatch(audio, items, index)


def validation_batch(given: Any, channels: int) -> ValidationBatch:
    """A batch of clips as a loader gives it; arguments and errors are those of ``training_batch``.

    A mapping may hold ``length``, ``domain`` and ``name`` too, as those of ``AudioData`` do, and no clip where none of
    them could be read.
    """
    if isinstance(given, Mapping) and isinstance(given.get("audio"), Tensor) and not len(given["audio"]):
        return ValidationBatch(given["audio"], [], [], [])
    audio = find_audio(given, channels)
    lengths, domains = [audio.shape[-1]] * len(audio), None
    names = [f"clip {number}" for number in range(len(audio))]
    if isinstance(given, Mapping):
        lengths = given["length"].tolist() if "length" in given else lengths
        domains, names = given.get("domain"), given.get("name", names)
    return ValidationBatch(audio, lengths, domains, names)


def find_audio(given: Any, channels: int) -> Tensor:
    """The audio ``[B, C, N]`` in a batch.

    Raises:
        TypeError: there is none, or not of this shape.
    """
    audio = given.get("audio") if isinstance(given, Mapping) else given
    if isinstance(audio, list | tuple) and len(audio) == 1:
        audio = audio[0]
    wanted = f"a batch should be audio [B, {channels}, N] in floating point, or a mapping that holds it as 'audio'"
    if not isinstance(audio, Tensor):
        raise TypeError(f"{wanted}, not {type(given).__name__}")
    if audio.ndim != 3 or audio.shape[1] != channels or not audio.is_floating_point():
        raise TypeError(f"{wanted}, not a {audio.dtype} tensor of shape {list(audio.shape)}")
    return audio
