"""Batches as functions of (seed, batch): over workers, ranks and resumed runs; clips and checks."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DistributedSampler

from codeclab.experiments.data.augmentation import Augmentation, LoudnessNormalize, PhaseShift, RandomGain
from codeclab.experiments.data.clips import choose_balanced
from codeclab.experiments.data.excerpts import TrainExcerpts
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.sampling import BalancedDomains, EnCodecMixing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three splits and two domains of noise at 16 kHz, 3 s each, all different."""
    for index, split in enumerate(["train"] * 4 + ["valid"] * 2 + ["test"] * 4):
        domain = ("music", "speech")[index % 2]
        path = tmp_path / split / domain / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(index).standard_normal(48000), 16000)
    return tmp_path


class _Rank:
    """Stands for the trainer of one process of several."""

    max_steps, global_step = 3, 0

    def __init__(self, rank: int, world: int) -> None:
        self.global_rank, self.world_size, self.num_devices = rank, world, world


def _data(folder: Path | None, **changes: Any) -> AudioData:
    arguments: dict[str, Any] = {
        "folder": None if folder is None else str(folder), "sample_rate": 16000, "seconds": 0.25, "batch_size": 6,
        "n_batches": 3, "workers": 0, "augmentations": [RandomGain(), PhaseShift()],
    }  # fmt: skip
    return AudioData(**(arguments | changes))


def _batches(data: AudioData) -> list[dict[str, Any]]:
    return list(data.train_dataloader())


def _same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    return len(some) == len(others) and all(
        one["batch"] == other["batch"] and torch.equal(one["audio"], other["audio"])
        for one, other in zip(some, others, strict=True)
    )


def test_a_batch_is_as_promised(folder: Path) -> None:
    batches = _batches(_data(folder, channels=2))
    assert [batch["batch"] for batch in batches] == [0, 1, 2]
    assert batches[0]["audio"].shape == (6, 2, 4000)
    assert batches[0]["audio"].dtype == torch.float32
    assert batches[0]["item"].tolist() == list(range(6))
    assert batches[0]["item"].dtype == torch.int64
    flat = torch.cat([batch["audio"] for batch in batches]).flatten(1)
    assert len(torch.unique(flat, dim=0)) == 18


@pytest.mark.parametrize("sampling", [None, BalancedDomains(), EnCodecMixing()])
def test_batches_depend_on_the_seed_alone(folder: Path, sampling: Any) -> None:
    once = _batches(_data(folder, sampling=sampling))
    assert _same(once, _batches(_data(folder, sampling=sampling)))
    assert not _same(once, _batches(_data(folder, sampling=sampling, seed=1)))


def test_workers_change_nothing(folder: Path) -> None:
    assert _same(_batches(_data(folder)), _batches(_data(folder, workers=2)))


def test_two_ranks_hold_the_halves_of_one(folder: Path) -> None:
    whole = _batches(_data(folder))
    halves = []
    for rank in (0, 1):
        data = _data(folder, n_batches=None)
        data.trainer = _Rank(rank, 2)  # type: ignore[assignment]
        halves.append(_batches(data))
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(batch["audio"], torch.cat([first["audio"], second["audio"]]))
        assert torch.equal(batch["item"], torch.cat([first["item"], second["item"]]))


def test_a_batch_that_cannot_be_shared_is_refused(folder: Path) -> None:
    data = _data(folder)
    data.trainer = _Rank(0, 4)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="a batch of 6 cannot be shared equally by 4 devices.*a multiple of 4"):
        data.train_dataloader()


def test_a_resumed_run_gets_the_same_batches(folder: Path) -> None:
    whole = _batches(_data(folder, n_batches=5))
    data = _data(folder, n_batches=5)
    data.start_batch = 3
    assert _same(whole[3:], _batches(data))
    assert len(data.train_dataloader()) == 5


class _Learner(LightningModule):
    """Records which batches the trainer hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[int] = []
        self.names: list[str] = []

    def training_step(self, batch: dict[str, Any]) -> Tensor:
        self.seen.append(batch["batch"])
        return self.weight * batch["audio"].mean()

    def validation_step(self, batch: dict[str, Any]) -> None:
        self.names += batch["name"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_lightning_takes_the_batches_as_they_are(folder: Path) -> None:
    learner, data = _Learner(), _data(folder, n_batches=None)
    trainer = Trainer(
        max_steps=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(learner, datamodule=data)
    assert learner.seen == [0, 1, 2, 3]
    assert sorted(learner.names) == ["valid/music/4.wav", "valid/speech/5.wav"]


def test_lightning_would_not_replace_the_samplers(folder: Path) -> None:
    # It shares out every loader of a distributed run whose sampler is not of this type.
    data = _data(folder)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert isinstance(loader, torch.utils.data.DataLoader)
        assert isinstance(loader.sampler, DistributedSampler)


def test_clips_are_fixed_and_balanced(folder: Path) -> None:
    data = _data(folder, clip_seconds=1.0)
    clips = data.clips("test")
    assert sorted(clip.name for clip in clips) == [r.name for r in data.corpus.test]
    middle, _ = soundfile.read(folder / clips[0].name, dtype="float32", start=16000, frames=16000)
    assert np.array_equal(clips[0].audio[0].numpy(), middle)
    assert clips[0].sample_rate == 16000
    assert {clip.domain for clip in data.clips("test")[:2]} == {"music", "speech"}
    limited = _data(folder, max_test_clips=2, seed=5).clips("test")
    assert sorted(clip.domain for clip in limited) == ["music", "speech"]
    fewer = choose_balanced(data.corpus.test, 1)
    assert fewer == choose_balanced(data.corpus.test, 3)[:1]


def test_a_clip_avoids_a_silent_middle(tmp_path: Path) -> None:
    for index in range(3):
        samples = np.zeros(48000)
        samples[:8000] = 0.5
        soundfile.write(tmp_path / f"{index}.wav", samples, 16000)
    for split in ("train", "valid", "test"):
        clip = _data(tmp_path, clip_seconds=0.5).clips(split)[0]
        assert float(clip.audio.abs().max()) == pytest.approx(0.5, abs=1e-3)


def test_validation_batches_are_padded_clips(folder: Path) -> None:
    soundfile.write(folder / "valid" / "speech" / "short.wav", np.full(8000, 0.25), 16000)
    data = _data(folder, clip_seconds=1.0, batch_size=8)
    (first, second) = list(data.val_dataloader())
    assert first["audio"].shape == (2, 1, 16000)
    assert sorted([*first["name"], *second["name"]]) == [r.name for r in data.corpus.valid]
    entries = [
        (name, domain, int(length), audio)
        for batch in (first, second)
        for name, domain, length, audio in zip(
            batch["name"], batch["domain"], batch["length"], batch["audio"], strict=True
        )
    ]
    name, domain, length, audio = next(entry for entry in entries if entry[0].endswith("short.wav"))
    assert (domain, length) == ("speech", 8000)
    assert (audio[:, :8000] == 0.25).all()
    assert (audio[:, 8000:] == 0).all()
    assert sorted(entry[2] for entry in entries) == [8000, 16000, 16000]


def test_silent_excerpts_are_drawn_anew(tmp_path: Path) -> None:
    samples = np.zeros(160_000)
    samples[:40_000] = 0.1
    soundfile.write(tmp_path / "mostly_silent.wav", samples, 16000)
    audio = torch.cat([batch["audio"] for batch in _batches(_data(tmp_path, augmentations=[]))])
    assert (audio.abs().amax(dim=(1, 2)) > 0.05).all()


def test_a_file_that_breaks_later_is_left_out_and_named_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = _data(folder, n_batches=8)
    broken = data.corpus.train[0].path
    broken.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert len(_batches(data)) == 8
    assert [str(broken) in record.getMessage() for record in caplog.records] == [True]
    for recording in data.corpus.train:
        recording.path.write_bytes(b"")
    with pytest.raises(DataError, match="batch 0, item 0: no usable excerpt in 64 draws; the last one: .*no longer"):
        _batches(data)


class _Never(Augmentation):
    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> None:
        return None


def test_an_augmentation_that_rejects_everything_is_reported(folder: Path) -> None:
    with pytest.raises(DataError, match="the augmentations rejected"):
        _batches(_data(folder, augmentations=[_Never()]))


def test_mixtures_are_sums_that_do_not_clip(folder: Path) -> None:
    sampling = EnCodecMixing((0.0, 0.0, 1.0, 0.0))
    data = _data(folder, sampling=sampling, augmentations=[LoudnessNormalize(-24.0)], seconds=1.0)
    batches = TrainExcerpts(data.corpus, sampling, data.augmentations, 16000, 1, 1.0, 6, range(6), 0, 1)
    mixed = batches.draw_sources(0, 0)[0]
    single = _batches(_data(folder, augmentations=[LoudnessNormalize(-24.0)], seconds=1.0))[0]["audio"][0]
    # Two independent noises of equal loudness are 3 dB louder than one.
    assert float(mixed.square().mean() / single.square().mean()) == pytest.approx(2.0, rel=0.1)
    loud = _data(folder, sampling=sampling, augmentations=[RandomGain(0, 0, reject_clipped=False, target_db=-6)])
    with pytest.raises(DataError, match="a mixture clipped"):
        _batches(loud)


def test_the_synthetic_corpus_needs_nothing() -> None:
    data = _data(None, workers=None)
    data.check(("train", "valid", "test"))
    assert data.train_dataloader().num_workers == 0
    assert _same(_batches(data), _batches(_data(None)))
    assert len(data.clips("test")) == 12
    assert "synthetic" in data.summary()


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder or manifest"):
        _data(tmp_path / "nowhere").check()
    for name in ("seconds", "batch_size", "sample_rate", "channels", "clip_seconds", "valid_clips"):
        with pytest.raises(ValueError, match=f"{name} is 0; it should be positive"):
            _data(None, **{name: 0})
    with pytest.raises(ValueError, match="both should be at least 0"):
        _data(None, seed=-1)
    soundfile.write(tmp_path / "one.wav", np.full(16000, 0.25), 16000)
    data = _data(tmp_path)
    data.check()
    assert data.val_dataloader() == []
    with pytest.raises(DataError, match="nothing in its valid split"):
        data.check(("train", "valid"))


def test_the_summary_counts_files_and_hours(folder: Path) -> None:
    (folder / "train" / "bad.wav").write_bytes(b"")
    lines = _data(folder).summary().splitlines()
    assert lines[0] == str(folder)
    assert lines[1].split() == ["train", "music", "2", "files", "0.002", "h", "16", "kHz"]
    assert lines[-1].strip() == "left out: 1 file"
    assert len(lines) == 8


def test_the_former_name_of_known_splits_warns_and_works() -> None:
    data = AudioData("recordings")
    with pytest.warns(FutureWarning, match="kept_splits is now called known_splits"):
        data.kept_splits = {"a.wav": "test"}
    assert data.known_splits == {"a.wav": "test"}
    with pytest.warns(FutureWarning, match="kept_splits is now called known_splits"):
        assert data.kept_splits == {"a.wav": "test"}
