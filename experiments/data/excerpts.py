"""Training batches, each a function of (seed, batch index) alone."""

import logging
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from math import prod
from typing import Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from codeclab.experiments.data.augmentation import Augmentation
from codeclab.experiments.data.formats import SILENCE
from codeclab.experiments.data.reader import ShorterError, as_it_is
from codeclab.experiments.data.recording import Corpus, DataError, Recording
from codeclab.experiments.data.sampling import Sampling
from codeclab.experiments.data.waiting import read_when_there

ATTEMPTS = 64

logger = logging.getLogger(__name__)


class TrainBatch(TypedDict):
    """A batch for the training step: ``audio`` float32 ``[b, C, N]``, ``batch`` its number, ``item`` int64 ``[b]``.

    ``left_out`` has (name, reason) of unreadable files, which were replaced by others; ``shorter`` has
    (name, how) of those that are shorter than listed. Each process that reads names a file once.
    """

    audio: Tensor
    batch: int
    item: Tensor
    left_out: list[tuple[str, str]]
    shorter: list[tuple[str, str]]


@dataclass(eq=False, repr=False)
class TrainExcerpts(Dataset[TrainBatch]):
    """Maps a batch index to this rank's share of that batch.

    Everything random about an item is drawn from a generator seeded by (seed, batch, global item), so that any
    number of ranks and workers, and a resumed run, get the same audio.

    Args:
        corpus: its training recordings are drawn from.
        sampling: rule that chooses the recordings; prepared here.
        augmentations: changes applied in order: to every source, then those for mixtures to their sum.
        sample_rate: sampling rate in Hz.
        channels: channels of the audio.
        seconds: length of an excerpt in seconds; shorter recordings are padded with zeros at the end.
        batch_size: items of the global batch.
        items: the global items of this rank.
        seed: seed of all draws.
        n_batches: number of batches.
    """

    corpus: Corpus
    sampling: Sampling
    augmentations: Sequence[Augmentation]
    sample_rate: int
    channels: int
    seconds: float
    batch_size: int
    items: range
    seed: int
    n_batches: int

    def __post_init__(self) -> None:
        self.recordings = self.corpus.split("train")
        self.sampling.prepare(self.recordings)
        self.on_sources = [augmentation for augmentation in self.augmentations if not augmentation.on_mixture]
        self.on_mixture = [augmentation for augmentation in self.augmentations if augmentation.on_mixture]
        self._unreadable: dict[str, str] = {}
        self._shorter: dict[str, str] = {}

    def __len__(self) -> int:
        """Batches in total."""
        return self.n_batches

    def __getitem__(self, batch: int) -> TrainBatch:
        """This rank's share of a batch."""
        unreadable, shorter = len(self._unreadable), len(self._shorter)
        audio = torch.stack([self.draw_sources(batch, item)[0] for item in self.items])
        if float(audio.abs().max()) <= SILENCE:
            raise DataError(
                f"batch {batch} is silent: {ATTEMPTS} excerpts in a row held no sound for each of its items; "
                f"`codeclab data scan` lists silent files"
            )
        return {
            "audio": audio,
            "batch": batch,
            "item": torch.tensor(self.items, dtype=torch.int64),
            "left_out": list(self._unreadable.items())[unreadable:],
            "shorter": list(self._shorter.items())[shorter:],
        }

    def draw_sources(self, batch: int, item: int) -> tuple[Tensor, list[Recording]]:
        """Draw one item, float32 ``[C, N]``, and return its sources.

        Silent, rejected and unreadable excerpts are drawn anew, 64 times at most. If all of them were silent, the item
        is silent. If the corpus is gone, the loader waits for it for five minutes at most.

        Raises:
            DataError: every excerpt was rejected or unreadable, or the corpus stays away.
        """
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, batch, item]))
        silent: tuple[Tensor, list[Recording]] | None = None
        reason = ""
        draw = self.sampling.plan(rng, batch, item, self.batch_size)
        for _ in range(ATTEMPTS):
            recordings = [self.recordings[index] for index in draw(rng)]
            try:
                sources = [self._draw_source(recording, rng) for recording in recordings]
            except (DataError, OSError) as error:
                reason = str(error)
                self._report([recording.name for recording in recordings], reason)
                continue
            if all(float(source.abs().max()) <= SILENCE for source in sources):
                silent = sources[0], recordings
                continue
            audio = self._mix(sources, recordings, rng)
            if audio is not None:
                return audio, recordings
            reason = "the augmentations rejected the excerpt, or a mixture clipped"
        if silent is not None:
            return silent
        raise DataError(f"batch {batch}, item {item}: no usable excerpt in {ATTEMPTS} draws; the last one: {reason}")

    def _draw_source(self, recording: Recording, rng: np.random.Generator) -> Tensor:
        speed = prod(augmentation.draw_speed(rng) for augmentation in self.on_sources)
        # What is read at a lower rate, and taken for audio of the corpus' rate, is faster.
        rate = round(self.sample_rate / speed)
        seconds = self.seconds * self.sample_rate / rate
        start = rng.uniform(0.0, max(recording.seconds - seconds, 0.0))
        try:
            # It waits for a file that is gone for a while: another one in its place would change the run.
            return read_when_there(self.corpus, recording, start, seconds, rate, self.channels)
        except ShorterError as error:
            # Drawn in what there is, after the one in what there should be: always the same, whoever knows.
            recording = as_it_is(recording, error)
            if error.note:
                self._shorter.setdefault(recording.name, error.note)
            start = rng.uniform(0.0, max(recording.seconds - seconds, 0.0))
            return read_when_there(self.corpus, recording, start, seconds, rate, self.channels)

    def _mix(self, sources: list[Tensor], recordings: list[Recording], rng: np.random.Generator) -> Tensor | None:
        changed = []
        for source, recording in zip(sources, recordings, strict=True):
            result = self._change(source, self.on_sources, [recording], rng)
            if result is None:
                return None
            changed.append(result)
        mixture = changed[0] if len(changed) == 1 else torch.stack(changed).sum(dim=0)
        if len(changed) > 1 and float(mixture.abs().max()) > 1.0:
            return None
        return self._change(mixture, self.on_mixture, recordings, rng)

    def _change(
        self, audio: Tensor, augmentations: list[Augmentation], recordings: list[Recording], rng: np.random.Generator
    ) -> Tensor | None:
        for augmentation in augmentations:
            result = augmentation.apply(audio, self.sample_rate, rng, recordings)
            if result is None:
                return None
            audio = result
        return audio

    def _report(self, names: list[str], reason: str) -> None:
        name = next((name for name in names if name in reason), names[0])
        if name not in self._unreadable:
            self._unreadable[name] = reason
            logger.warning("left out while training: %s", reason)


def share_of_batch(batch_size: int, rank: int, world: int) -> range:
    """The items of a global batch that one of several devices trains on.

    Args:
        batch_size: number of items over all devices.
        rank: number of the device, from 0.
        world: number of devices.

    Raises:
        ValueError: the batch cannot be shared equally.
    """
    if batch_size % world:
        raise ValueError(
            f"a batch of {batch_size} cannot be shared equally by {world} devices; "
            f"batch_size counts over all devices: choose a multiple of {world}"
        )
    share = batch_size // world
    return range(rank * share, (rank + 1) * share)


class BatchSchedule(DistributedSampler[int]):
    """Batch indices from the first that was not trained on, in order, each once.

    A DistributedSampler by type, so that Lightning leaves it in place: the ranks' shares are cut inside the batch.
    Its length counts the batches before that, too, so that a resumed run continues the count. A further pass, such as
    another epoch of Lightning's, goes on where the one before ended.

    Args:
        batches: the data set whose indices these are.
        start: first batch of the first pass, that of the checkpoint when a run is resumed.
        trained: function that returns how many batches have been trained.
    """

    def __init__(self, batches: Sized, start: int, trained: Callable[[], int] = lambda: 0) -> None:
        super().__init__(cast(Dataset[Any], batches), num_replicas=1, rank=0, shuffle=False)
        self.start = start
        self.trained = trained

    def __iter__(self) -> Iterator[int]:
        """The batches still to come in this pass."""
        first = max(self.start, self.trained())
        return iter(range(first, (first // len(self) + 1) * len(self)))
