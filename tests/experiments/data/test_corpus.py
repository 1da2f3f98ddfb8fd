"""Scanning folders and manifests: splits, domains, what is left out, and messages."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, Recording
from codeclab.experiments.data.splits import assign_splits


def _write(path: Path, seconds: float = 0.1, level: float = 0.1, rate: int = 16000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = level * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    soundfile.write(path, noise, rate)


def _names(corpus: Corpus) -> dict[str, set[str]]:
    return {split: {recording.name for recording in getattr(corpus, split)} for split in SPLITS}


def _listed(names: list[str], split: str | None = None) -> list[Recording]:
    return [Recording(Path(name), "all", 16000, 1, 1.0, split=split, name=name) for name in names]


def test_the_split_is_by_file_and_adding_files_moves_none() -> None:
    names = [f"{i}.wav" for i in range(2000)]
    before = {r.name: r.split for r in assign_splits(_listed(names[:1000]), seed=0)}
    after = {r.name: r.split for r in assign_splits(_listed(names[::-1]), seed=0)}
    assert all(after[name] == split for name, split in before.items())
    counts = {split: sum(s == split for s in after.values()) for split in SPLITS}
    assert 1750 < counts["train"] < 1850
    assert 60 < counts["valid"] < 140
    assert 60 < counts["test"] < 140
    other = {r.name: r.split for r in assign_splits(_listed(names[:1000]), seed=1)}
    assert other != before


@pytest.mark.parametrize("count", range(3, 12))
@pytest.mark.parametrize("seed", range(20))
def test_three_files_are_enough_for_three_splits(count: int, seed: int) -> None:
    splits = {r.split for r in assign_splits(_listed([f"{i}" for i in range(count)]), seed)}
    assert splits == set(SPLITS)


def test_a_missing_split_is_cut_from_training_and_never_from_a_given_one() -> None:
    listed = _listed([f"a{i}" for i in range(200)], "train") + _listed(["t0", "t1", "t2"], "test")
    assigned = assign_splits(listed, seed=0)
    assert [r.name for r in assigned if r.split == "test"] == ["t0", "t1", "t2"]
    assert 2 < sum(r.split == "valid" for r in assigned) < 25
    only_test = assign_splits(_listed(["t0", "t1", "t2"], "test"), seed=0)
    assert {r.split for r in only_test} == {"test"}


def test_split_folders_and_domains(tmp_path: Path) -> None:
    for name in ("train/speech/x/a.wav", "train/b.flac", "Validation/music/c.ogg", "test/d.wav", "other/e.wav"):
        _write(tmp_path / name)
    corpus = scan(tmp_path)
    assert _names(corpus) == {
        "train": {"train/speech/x/a.wav", "train/b.flac"},
        "valid": {"Validation/music/c.ogg"},
        "test": {"test/d.wav"},
    }
    assert {r.name: r.domain for r in corpus.train} == {"train/speech/x/a.wav": "speech", "train/b.flac": "all"}
    assert corpus.valid[0].domain == "music"
    assert corpus.skipped == [("other/e.wav", "beside the split folders")]


def test_top_folders_are_domains_without_split_folders(tmp_path: Path) -> None:
    for name in ("speech/a.wav", "speech/b.wav", "test/c.wav", "d.wav", ".hidden/e.wav", "notes.txt"):
        _write(tmp_path / name) if name.endswith("wav") else (tmp_path / name).write_text("no audio")
    recordings = [r for split in SPLITS for r in getattr(scan(tmp_path), split)]
    assert {r.name: r.domain for r in recordings} == {
        "speech/a.wav": "speech", "speech/b.wav": "speech", "test/c.wav": "test", "d.wav": "all"
    }  # fmt: skip


def test_headers_are_read(tmp_path: Path) -> None:
    _write(tmp_path / "a.wav", seconds=0.5, rate=22050, channels=2)
    recording = scan(tmp_path).train[0]
    assert (recording.sample_rate, recording.channels, recording.seconds) == (22050, 2, 0.5)
    assert recording.full_band is None


def test_useless_files_are_left_out_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(3):
        _write(tmp_path / f"good{index}.wav")
    _write(tmp_path / "silent.wav", level=0.0, seconds=5.0)
    _write(tmp_path / "empty.wav", seconds=0.0)
    (tmp_path / "broken.flac").write_bytes(b"fLaC this is none")
    (tmp_path / "text.mp3").write_text("no audio at all")
    with caplog.at_level(logging.WARNING):
        corpus = scan(tmp_path)
    reasons = dict(corpus.skipped)
    assert reasons["silent.wav"] == "silent"
    assert reasons["empty.wav"] == "empty"
    assert reasons["broken.flac"].startswith("unreadable")
    assert reasons["text.mp3"].startswith("unreadable")
    assert sum(len(files) for files in _names(corpus).values()) == 3
    (message,) = [text for text in caplog.messages if "left out" in text]
    assert "left out 4 of 7 files" in message
    assert "broken.flac" in message
    assert "and 1 more" in message


def test_sound_after_a_long_silence_counts(tmp_path: Path) -> None:
    samples = np.zeros(400_000)
    samples[-10:] = 0.5
    soundfile.write(tmp_path / "late.wav", samples, 16000)
    assert not scan(tmp_path).skipped


def test_a_linked_folder_is_followed_but_no_circle(tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "speech").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "corpus")
    assert [r.name for r in scan(tmp_path / "corpus").train] == ["speech/a.wav"]


def test_a_file_and_links_to_it_are_in_one_split(tmp_path: Path) -> None:
    for number in range(12):
        _write(tmp_path / f"{number}.wav")
        (tmp_path / f"link{number}.wav").symlink_to(tmp_path / f"{number}.wav")
    corpus = scan(tmp_path)
    for split in SPLITS:
        names = {recording.name for recording in corpus.split(split)}
        assert {name.removeprefix("link") for name in names} == {name for name in names if "link" not in name}


def test_messages_for_folders_without_audio(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder or manifest .*nowhere"):
        scan(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no audio in .*looked in all its folders for .*\.flac.*\.wav"):
        scan(tmp_path)
    (tmp_path / "a.txt").write_text("not,a,manifest\n")
    with pytest.raises(DataError, match="neither a folder of audio nor a CSV manifest with a 'path' column"):
        scan(tmp_path / "a.txt")
    (tmp_path / "shard-000.tar").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"\.wav.*; archives such as shard-000.tar are not read: unpack them"):
        scan(tmp_path)
    with pytest.raises(DataError, match=r"shard-000.tar is an archive; unpack it into a folder"):
        scan(tmp_path / "shard-000.tar")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(DataError, match="no usable audio in"):
        scan(tmp_path)
    _write(tmp_path / "b.wav")
    with pytest.raises(DataError, match=r"nothing in its test split \(1 train, 0 valid, 0 test files\)"):
        scan(tmp_path).split("test")
    with pytest.raises(DataError, match="no split 'tset'"):
        scan(tmp_path).split("tset")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,split\n", "no audio in .*: it has no rows below its first line"),
        ("path;split\na.wav;train\n", "separated by commas.*its first line begins 'path;split'"),
        ("path,split\na.wav,train\nb\0.wav,train\n", "line 3: it holds a NUL character; the file may be damaged"),
        ("path\nx/a.wav\n", r"left out 1 of 1 file: x/a.wav .*\. None of its files exists; paths are relative to"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=said) as refused:
        scan(tmp_path / "list.csv")
    assert str(refused.value).count("left out") <= 1


def test_a_note_on_a_corpus_is_given_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcd":
        _write(tmp_path / f"{name}.wav")
    (tmp_path / "e.wav").write_bytes(b"")
    (tmp_path / "list.csv").write_text("path,split\na.wav,train\nb.wav,valid\nc.wav,test\nd.wav,\ne.wav,train\n")
    for _ in range(2):
        scan(tmp_path / "list.csv")
    (split, left_out) = caplog.messages
    assert "split by file, because 1 of 4 have no split: " in split
    assert "left out 1 of 5 files: e.wav" in left_out


def test_a_manifest_says_split_domain_and_band(tmp_path: Path) -> None:
    for name in ("x/a.wav", "b.wav", "c.wav", "unlisted.wav"):
        _write(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(
        "path, split, domain, full_band, sample_rate\n"
        "x/a.wav,train,speech,true,44100\n"
        "b.wav,val,,false,\n"
        "c.wav,test,music,,\n"
        "x/a.wav,train,speech,true,44100\n"
        "gone.wav,train,speech,,\n"
        "c.wav,rir,rir,,\n"
    )
    corpus = scan(tmp_path)
    assert _names(corpus) == {"train": {"x/a.wav"}, "valid": {"b.wav"}, "test": {"c.wav"}}
    assert [(r.domain, r.full_band) for split in SPLITS for r in getattr(corpus, split)] == [
        ("speech", True), ("all", False), ("music", None)
    ]  # fmt: skip
    assert corpus.train[0].sample_rate == 16000
    assert {name for name, _ in corpus.skipped} == {"gone.wav", "c.wav", "x/a.wav"}
    assert _names(scan(tmp_path / "manifest.csv")) == _names(corpus)
    (tmp_path / "manifest.csv").write_text("path,full_band\nb.wav,perhaps\n")
    with pytest.raises(DataError, match="line 2: full_band is 'perhaps'; it should be true, false or empty"):
        scan(tmp_path)


@pytest.mark.shared
def test_the_shared_manifest(shared: Path) -> None:
    began = time.perf_counter()
    corpus = scan(shared / "audio")
    assert time.perf_counter() - began < 10
    assert [len(getattr(corpus, split)) for split in SPLITS] == [447, 55, 102]
    assert {r.domain for r in corpus.train} == {"general", "music", "speech"}
    assert len(corpus.skipped) == 13
    assert all(name.startswith("rir/") for name, _ in corpus.skipped)
    full_band = sum(r.full_band is True for split in SPLITS for r in getattr(corpus, split))
    listed = (shared / "audio" / "manifest.csv").read_text().splitlines()
    assert full_band == sum(",true," in line and not line.startswith("rir/") for line in listed)
    minutes = sum(r.seconds for r in corpus.train if r.domain == "speech") / 60
    assert minutes == pytest.approx(13.2, abs=0.06)
