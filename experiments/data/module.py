"""The data of an experiment: batches and clips from a folder or from the synthetic corpus."""

import itertools
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.codecs.io.workers import leave_signals_to_parent
from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.data.augmentation import Augmentation
from codeclab.experiments.data.clips import Clips, PaddedClip, PaddedClips, choose_balanced, collate_clips
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.corpus import judge_band
from codeclab.experiments.data.excerpts import BatchSchedule, TrainBatch, TrainExcerpts, share_of_batch
from codeclab.experiments.data.left_out import refuse_too_many
from codeclab.experiments.data.mixed_clips import MixedClips
from codeclab.experiments.data.named import open_corpus, without_synthetic
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.data.readers import Readers
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError
from codeclab.experiments.data.reverberation import Reverberation
from codeclab.experiments.data.sampling import Sampling, UniformByDuration
from codeclab.experiments.data.waiting import read_when_there

ENDLESS = 2**31 - 1
NO_DOMAIN = "no domain"
"""Domain, in results, of files in no domain's folder or in one named "all", if there are other domains."""
MOST_WORKERS = 8
SIZES = (
    "sample_rate", "channels", "seconds", "batch_size", "n_batches", "valid_clips", "clip_seconds", "max_test_clips",
)  # fmt: skip
"""Arguments that are positive, or None."""


class AudioData(LightningDataModule):
    """Training batches, validation batches, and test clips of one corpus.

    Training has no epochs: batch ``i`` is a function of (seed, i). ``start_batch``, an attribute, is the batch the
    loader begins with; a checkpoint keeps it, so that a training that is continued goes on with the next batch.

    Args:
        folder: a folder of audio, a CSV manifest of one, or a word (see ``open_corpus``): "recordings" ship with the
            package; "synthetic", or None, makes a synthetic corpus in memory.
        sample_rate: sampling rate in Hz; everything is resampled to it.
        channels: channels of the audio.
        seconds: length of a training excerpt in seconds.
        batch_size: excerpts in a batch, over all devices.
        n_batches: batches of the whole training; None takes the trainer's ``max_steps``.
        workers: processes that read, per device; None chooses from the number of cores (0 for the synthetic corpus).
        seed: seed of the training draws.
        split_seed: seed of the split of files that have none; runs that are compared must share it.
        augmentations: changes applied to every excerpt, in order; None applies nothing.
        sampling: rule that chooses the recordings; None is ``UniformByDuration``.
        valid_clips: validation clips, at most.
        clip_seconds: longest duration of a validation or test clip in seconds.
        max_test_clips: test clips, at most; None takes one of every test file.
        room_responses: a folder of room responses, for ``Reverberation``; None adds none.
        mix_valid: whether validation clips are drawn, mixed and changed as training excerpts are (``MixedClips``).
        max_left_out: share of the files that may be unusable; more than one file, and a larger share, end a training
            before its first batch, and a measurement before its first clip.

    Attributes:
        start_batch: the batch that the loader begins with.
        known_splits: splits of files by name, as they were to an earlier run; None draws them.
        split_floor: rule for files that come later, as in ``assign_splits``.
        readers: processes of the loaders.

    Raises:
        ValueError: a size is not positive or the seed is negative.
    """

    def __init__(
        self,
        folder: str | None = None,
        sample_rate: int = 24000,
        channels: int = 1,
        seconds: float = 1.0,
        batch_size: int = 64,
        n_batches: int | None = None,
        workers: int | None = None,
        seed: int = 0,
        split_seed: int = 0,
        augmentations: list[Augmentation] | None = None,
        sampling: Sampling | None = None,
        valid_clips: int = 24,
        clip_seconds: float = 10.0,
        max_test_clips: int | None = None,
        room_responses: str | None = None,
        mix_valid: bool = False,
        max_left_out: float = 0.05,
    ) -> None:
        super().__init__()
        if seed < 0 or (workers is not None and workers < 0):
            raise ValueError(f"seed is {seed} and workers {workers}; both should be at least 0")
        self.folder = without_synthetic(folder)
        self.sample_rate = sample_rate
        self.channels = channels
        self.seconds = seconds
        self.batch_size = batch_size
        self.n_batches = n_batches
        self.workers = workers
        self.seed = seed
        self.split_seed = split_seed
        self.augmentations = list(augmentations or [])
        self.sampling = sampling if sampling is not None else UniformByDuration()
        self.valid_clips = valid_clips
        self.clip_seconds = clip_seconds
        self.max_test_clips = max_test_clips
        self.room_responses = room_responses
        self.mix_valid = mix_valid
        self.max_left_out = max_left_out
        for name in SIZES:
            if (size := getattr(self, name)) is not None and size <= 0:
                raise DataError(f"{name} is {size}; it should be positive")
        self.start_batch = 0
        self.known_splits: dict[str, str] | None = None
        self.split_floor = True
        self.readers = Readers()

    @property
    def kept_splits(self) -> dict[str, str] | None:
        """The former name of ``known_splits``."""
        warnings.warn("AudioData.kept_splits is now called known_splits", FutureWarning, stacklevel=2)
        return self.known_splits

    @kept_splits.setter
    def kept_splits(self, splits: dict[str, str] | None) -> None:
        warnings.warn("AudioData.kept_splits is now called known_splits", FutureWarning, stacklevel=2)
        self.known_splits = splits

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, scanned on first use.

        Raises:
            DataError: the folder holds no usable audio.
        """
        known = None if self.known_splits is None else tuple(sorted(self.known_splits.items()))
        return judge_band(_open_once(self.folder, self.split_seed, known, self.split_floor), self.sample_rate)

    def check(self, splits: tuple[str, ...] = ("train",)) -> None:
        """Check the data before anything else happens.

        Args:
            splits: those that are needed.

        Raises:
            DataError: one holds nothing, too much of the corpus, or of one that is measured, is of no use, the
                sampling finds no recordings it needs, or there are no room responses where they should be.
        """
        refuse_too_many(self.corpus, self.max_left_out)
        for split in splits:
            if split != "train":  # what is measured is named by itself; training draws from what there is
                refuse_too_many(self.corpus, self.max_left_out, split)
            recordings = self.corpus.split(split)
            if split == "train":
                self.sampling.prepare(recordings)
                for remark in filter(None, [self.sampling.remark(), *self._prepare_rooms()]):
                    warn_once(__name__, remark)

    def _prepare_rooms(self) -> list[str]:
        """Measure the room responses; return a remark for the user."""
        using = [augmentation for augmentation in self.augmentations if isinstance(augmentation, Reverberation)]
        if self.room_responses is not None and not using:
            raise DataError(
                "data.room_responses names a folder, and no augmentation uses it; "
                "--data.augmentations+=Reverberation adds the one that does"
            )
        return [augmentation.prepare(self.room_responses) for augmentation in using]

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps: the batch that comes next."""
        return {"next_batch": self.start_batch if self.trainer is None else self.trainer.global_step}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue with the batch that ``state_dict`` stored."""
        self.start_batch = state_dict["next_batch"]

    def on_exception(self, exception: BaseException) -> None:
        """Note which of the loaders' processes have died, before Lightning ends the others."""
        self.readers.look()

    def teardown(self, stage: str) -> None:
        """The next training begins with its first batch, unless it continues another."""
        if stage == "fit":
            self.start_batch = 0

    def setup(self, stage: str | None = None) -> None:
        """Scan the corpus; Lightning calls it before the loaders.

        Raises:
            DataError: the data is of no use, or the trainer should repeat batches (``overfit_batches``).
        """
        if self.trainer is not None and getattr(self.trainer, "overfit_batches", None):
            raise DataError(
                "overfit_batches repeats batches, and AudioData draws each anew: give it a folder of few files instead"
            )
        self.check(("train",) if stage == "fit" else ())

    def train_dataloader(self) -> DataLoader[TrainBatch]:
        """Load this rank's share of every batch from ``start_batch`` on.

        Raises:
            DataError: there is nothing to train on.
            ValueError: the batch cannot be shared equally among the devices.
        """
        self.check()
        batches = self._excerpts()
        workers = self._count_workers()
        return DataLoader(
            batches,
            batch_size=None,
            sampler=BatchSchedule(batches, self.start_batch, self._trained),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_init_worker,
            multiprocessing_context=self.readers.context if workers > 0 else None,
        )

    def _trained(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_step

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move audio to the device; numbers and names stay on the CPU, where reading them is free."""
        moved = super().transfer_batch_to_device(batch["audio"], device, dataloader_idx)
        return {**batch, "audio": moved}

    def batches(self, start: int) -> Iterator[TrainBatch]:
        """This rank's share of every batch from ``start`` on, read in this process as they are requested."""
        excerpts = self._excerpts()
        return (excerpts[batch] for batch in itertools.count(start))

    def _excerpts(self) -> TrainExcerpts:
        items = share_of_batch(self.batch_size, *self._rank_and_world())
        return TrainExcerpts(
            self.corpus, self.sampling, self.augmentations, self.sample_rate, self.channels, self.seconds,
            self.batch_size, items, self.seed, self._count_batches(),
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[PaddedClip] | list[DataLoader[PaddedClip]]:
        """Load the validation clips; see ``_clip_loader``."""
        return self._clip_loader("valid")

    def test_dataloader(self) -> DataLoader[PaddedClip] | list[DataLoader[PaddedClip]]:
        """Load the test clips; see ``_clip_loader``."""
        return self._clip_loader("test")

    def _clip_loader(self, split: str) -> DataLoader[PaddedClip] | list[DataLoader[PaddedClip]]:
        """Load a split's clips, all of them on every rank, padded to one length; empty without any.

        Batches hold about as many seconds as the device's training batches.
        """
        if not getattr(self.corpus, split):
            return []
        clips = self.clips(split)
        padded = PaddedClips(clips, round(clips.longest * self.sample_rate))
        per_device = self.batch_size * self.seconds / self._rank_and_world()[1]
        workers = min(self._count_workers(), 2)
        # A DistributedSampler, so that Lightning puts none of its own, which would share out and repeat clips.
        return DataLoader(
            padded,
            batch_size=max(int(per_device / clips.longest), 1),
            sampler=DistributedSampler(padded, num_replicas=1, rank=0, shuffle=False),
            num_workers=workers,
            collate_fn=collate_clips,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_init_worker,
            multiprocessing_context=self.readers.context if workers > 0 else None,
        )

    def clips(self, split: str) -> Clips:
        """The fixed clips of a split, read when requested; the same for every run with this corpus.

        Args:
            split: "valid" (at most ``valid_clips``), "test" (at most ``max_test_clips``) or "train" (as "valid"),
                or "all" of them (as "test").

        Raises:
            DataError: the split holds nothing.
        """
        if split == "valid" and self.mix_valid:
            return self._mixed_clips()
        limit = self.max_test_clips if split in ("test", "all") else self.valid_clips
        chosen = choose_balanced(self.corpus.split(split), limit)
        if len({recording.domain for recording in self.corpus.split("all")}) > 1:
            # Results call all clips together "all".
            chosen = [replace(one, domain=NO_DOMAIN) if one.domain == ALL else one for one in chosen]
        # A clip left out because a mount was away for a minute would be missing in one measurement and not in the next.
        read = partial(read_when_there, self.corpus)
        return Clips(chosen, read, self.sample_rate, self.channels, self.clip_seconds)

    def _mixed_clips(self) -> MixedClips:
        corpus = replace(self.corpus, train=self.corpus.split("valid"))
        sampling = deepcopy(self.sampling)  # which is prepared for the training recordings
        excerpts = TrainExcerpts(
            corpus, sampling, self.augmentations, self.sample_rate, self.channels, self.clip_seconds,
            self.valid_clips, range(self.valid_clips), self.split_seed, 1,
        )  # fmt: skip
        return MixedClips(excerpts, self.valid_clips)

    def summary(self) -> str:
        """Files and hours by split and domain, sampling rates, and how many files were left out."""
        lines = [self.corpus.name]
        for split in SPLITS:
            recordings = getattr(self.corpus, split)
            for domain in sorted({recording.domain for recording in recordings}):
                group = [recording for recording in recordings if recording.domain == domain]
                rates = sorted({recording.sample_rate for recording in group})
                hours = sum(recording.seconds for recording in group) / 3600
                files = by_number(len(group), "file", "files")
                lines.append(
                    f"  {split:5} {domain:12} {len(group):6} {files:5} {hours:9.3f} h  "
                    f"{', '.join(f'{rate / 1000:g}' for rate in rates)} kHz"
                )
        if self.corpus.skipped:
            lines.append(f"  left out: {counted(len(self.corpus.skipped), 'file')}")
        return "\n".join(lines)

    def _rank_and_world(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _count_batches(self) -> int:
        if self.n_batches is not None:
            return self.n_batches
        steps = self.trainer.max_steps if self.trainer is not None else -1
        return steps if steps > 0 else ENDLESS

    def _count_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        if self.folder is None:
            return 0
        devices = 1 if self.trainer is None else self.trainer.num_devices
        return min(max(usable_cores() // (2 * devices), 1), MOST_WORKERS)


@lru_cache(maxsize=4)
def _open_once(folder: str | None, split_seed: int, known: tuple[tuple[str, str], ...] | None, floor: bool) -> Corpus:
    """A process reads a folder's headers and lists the files left out only once, however many runs it makes."""
    return open_corpus(folder, split_seed, None if known is None else dict(known), floor)


def _init_worker(worker: int) -> None:
    torch.set_num_threads(1)
    leave_signals_to_parent()
