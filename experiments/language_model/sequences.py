"""Sequences of codes to train the language model on, and those to measure it on."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.container import ENTROPY_SECONDS
from codeclab.experiments.data.excerpts import BatchSchedule, share_of_batch
from codeclab.experiments.data.module import ENDLESS
from codeclab.experiments.data.named import open_corpus, without_synthetic
from codeclab.experiments.data.recording import Corpus
from codeclab.experiments.language_model.extraction import SplitCodes, split_codes
from codeclab.quantizers.base import ABSENT

DRAW = 0x5E9
"""Keeps these draws apart from others made of the same seed and batch."""


class CodesBatch(TypedDict):
    """A training batch: its number, the positions of its items in it, and codes ``int64 [B, K, T]``."""

    batch: int
    item: Tensor
    codes: Tensor


class TrainSequences(Dataset[CodesBatch]):
    """Batch ``i`` of training, a function of the seed and ``i``.

    A sequence begins at any frame of any recording, each frame equally likely; one that reaches the end of its
    recording goes on with another one, from its start.

    Args:
        codes: codes of the training split.
        frames: frames of a sequence.
        share: positions in the batch that this process loads.
        seed: seed of the draws.
        n_batches: number of batches of the training.
    """

    def __init__(self, codes: SplitCodes, frames: int, share: range, seed: int, n_batches: int) -> None:
        self.codes, self.frames = codes, frames
        self.share, self.seed, self.n_batches = share, seed, n_batches

    def __len__(self) -> int:
        """Batches of the training."""
        return self.n_batches

    def __getitem__(self, batch: int) -> CodesBatch:
        """One batch."""
        drawn = [self._sequence(np.random.default_rng([self.seed, DRAW, batch, item])) for item in self.share]
        return {"batch": batch, "item": torch.tensor(self.share), "codes": torch.from_numpy(np.stack(drawn))}

    def _sequence(self, rng: np.random.Generator) -> NDArray[np.int64]:
        starts = self.codes.starts
        first = int(rng.integers(starts[-1]))
        end = int(starts[np.searchsorted(starts, first, side="right")])
        parts, missing = [], self.frames
        while True:
            part = self.codes.codes[:, first : min(end, first + missing)]
            parts.append(part)
            missing -= part.shape[1]
            if not missing:
                return np.concatenate(parts, axis=1).astype(np.int64)
            piece = int(rng.integers(len(starts) - 1))
            first, end = int(starts[piece]), int(starts[piece + 1])


def chunked(codes: SplitCodes, frames: int, most: int | None = None) -> list[NDArray[np.int64]]:
    """The codes of recordings as files of codes hold them: each in chunks ``[K, t]`` from its start.

    Args:
        codes: codes of a split.
        frames: frames of a chunk, the last of a recording fewer.
        most: chunks, at most, spread over all; None takes all.
    """
    spans = [
        (start, min(start + frames, int(end)))
        for begin, end in zip(codes.starts, codes.starts[1:], strict=False)
        for start in range(int(begin), int(end), frames)
    ]
    if most is not None and len(spans) > most:
        spans = [spans[index * len(spans) // most] for index in range(most)]
    return [codes.codes[:, start:end].astype(np.int64) for start, end in spans]


def padded(chunks: Sequence[NDArray[np.int64]]) -> Tensor:
    """Chunks ``[K, t]`` of one length, padded by ``ABSENT``: ``int64 [N, K, T]``."""
    return pad_sequence([torch.from_numpy(chunk.T) for chunk in chunks], batch_first=True, padding_value=ABSENT).mT


class CodesData(LightningDataModule):
    """Codes of a corpus: what the language model is trained and validated on.

    Its ``codec``, ``cache`` and, for a run that is continued, ``start_batch`` are set before it is used.

    Args:
        folder: folder of audio, a manifest, ``recordings``, or None for the synthetic corpus (see ``AudioData``).
        seconds: length of a training sequence, s (EnCodec 3.3: 5).
        batch_size: sequences of a batch, over all devices.
        valid_chunks: chunks to validate on, at most, spread over the validation recordings.
        seed: seed of the training draws.
        split_seed: seed of the split of files that are in no split.

    Raises:
        ValueError: a size that is not positive, or a negative seed.
    """

    def __init__(
        self,
        folder: str | None = None,
        seconds: float = 5.0,
        batch_size: int = 64,
        valid_chunks: int = 24,
        seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        super().__init__()
        if min(seconds, batch_size, valid_chunks) <= 0 or seed < 0:
            raise ValueError(
                f"seconds {seconds}, batch_size {batch_size} and valid_chunks {valid_chunks} should be positive, seed "
                f"{seed} at least 0"
            )
        self.folder = without_synthetic(folder)
        self.seconds = seconds
        self.batch_size = batch_size
        self.valid_chunks = valid_chunks
        self.seed = seed
        self.split_seed = split_seed
        self.start_batch = 0
        self.codec: Codec
        self.cache: Path
        self._codes: dict[str, SplitCodes] = {}

    @cached_property
    def corpus(self) -> Corpus:
        """The recordings, listed on first use."""
        return open_corpus(self.folder, self.split_seed)

    def codes(self, split: str) -> SplitCodes:
        """The codes of a split, extracted or read on first use."""
        if split not in self._codes:
            self._codes[split] = split_codes(self.codec, self.corpus, split, self.cache)
        return self._codes[split]

    def prepare_data(self) -> None:
        """Extract what is missing, in one process."""
        for split in ("train", "valid"):
            if getattr(self.corpus, split):
                self.codes(split)

    def train_dataloader(self) -> DataLoader[CodesBatch]:
        """This process's share of every batch from ``start_batch`` on.

        Raises:
            ValueError: the batch cannot be shared equally by the devices.
        """
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        steps = self.trainer.max_steps if self.trainer is not None else -1
        sequences = TrainSequences(
            self.codes("train"),
            max(2, round(self.seconds * self.codec.frame_rate)),
            share_of_batch(self.batch_size, rank, world),
            self.seed,
            steps if steps > 0 else ENDLESS,
        )
        return DataLoader(sequences, batch_size=None, sampler=BatchSchedule(sequences, self.start_batch))

    def val_dataloader(self) -> DataLoader[Tensor] | list[DataLoader[Tensor]]:
        """The validation chunks, on every process all of them; empty without validation recordings."""
        if not self.corpus.valid:
            return []
        frames = max(2, round(ENTROPY_SECONDS * self.codec.frame_rate))
        chunks = cast(Dataset[Tensor], padded(chunked(self.codes("valid"), frames, self.valid_chunks)))
        sampler: DistributedSampler[Tensor] = DistributedSampler(chunks, num_replicas=1, rank=0, shuffle=False)
        return DataLoader(chunks, batch_size=min(self.batch_size, 8), sampler=sampler)
