"""What a run keeps of its corpus, and what it says when that is another one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.data.corpus import scan
from codeclab.experiments.runs.build import build, build_resolved
from codeclab.experiments.runs.corpus_record import Listed, differences, list_corpus, read_record, write_record

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.workers 0 --trainer.max_steps 2 --model.quantizer_start_frames 0 --model.adversarial_start 0 --name mine"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise_corpus: Callable[[Path, str], Path]) -> Path:
    """Four files a split; the last bytes, a block in the middle and the first of each can be changed alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return noise_corpus(tmp_path / "audio", "abcd")


def overwrite(path: Path, position: int) -> None:
    """Another sound in the same number of bytes."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("position", [100, 24000, -1])
def test_a_file_with_other_content_of_the_same_size_has_changed(folder: Path, tmp_path: Path, position: int) -> None:
    write_record(tmp_path / "corpus.csv", list_corpus(scan(folder)))
    before = read_record(tmp_path / "corpus.csv")
    assert before == list_corpus(scan(folder))
    overwrite(folder / "train" / "b.wav", position)
    now = list_corpus(scan(folder))
    said = "the corpus has changed since this run began: 1 file changed (train/b.wav)"
    assert differences(before, now) == said


def test_what_was_added_is_gone_or_changed_is_named(folder: Path, tmp_path: Path) -> None:
    before = list_corpus(scan(folder))
    assert differences(before, before) == differences({}, before) == ""
    (folder / "train" / "a.wav").unlink()
    soundfile.write(folder / "train" / "e.wav", np.full(12000, 0.1), 24000)
    soundfile.write(folder / "test" / "a.wav", np.full(12000, 0.1), 24000)
    for name in "abcd":
        overwrite(folder / "valid" / f"{name}.wav", 100)
    assert differences(before, list_corpus(scan(folder))) == (
        "the corpus has changed since this run began: 1 file added (train/e.wav), 1 file gone (train/a.wav), "
        "5 files changed (test/a.wav, valid/a.wav, valid/b.wav, \u2026)"
    )


def test_a_record_without_digests_is_read_and_compared_by_what_it_has(folder: Path, tmp_path: Path) -> None:
    now = list_corpus(scan(folder))
    path = tmp_path / "corpus.csv"
    lines = [f"{name},{one.split},{one.bytes},{one.seconds:.3f}" for name, one in now.items()]
    path.write_text("\n".join(["name,split,bytes,seconds", *lines]) + "\n")
    before = read_record(path)
    assert before["train/a.wav"] == Listed("train", 48044, 1.0, "")
    assert differences(before, now) == ""
    path.write_text(path.read_text().replace("48044,1.000", "48040,1.000", 1))
    assert "1 file changed (train/a.wav)" in differences(read_record(path), now)
    write_record(path, now)  # what a run began with is not written anew
    assert "digest" not in path.read_text()


def test_a_tables_row_that_is_continued_says_that_its_corpus_has_changed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build("fit", [*TINY.split(), "--data", str(folder), "--runs", str(tmp_path / "runs")])
    first.lock.release()
    torch.save({"global_step": 1, "callbacks": {}}, _made(first.folder.last))
    overwrite(folder / "train" / "b.wav", 24000)
    capsys.readouterr()
    build_resolved(first.requested).lock.release()  # as a process that makes rows does, which says nothing else
    said = "mine: the corpus has changed since this run began: 1 file changed (train/b.wav)"
    assert capsys.readouterr().err.count(f"note: {said}\n") == 1


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
