"""Speakers and copies of a file: in one split where it is drawn, and told where a given one has them apart."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.experiments.cli import main
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.manifest import read_rows
from codeclab.experiments.data.recording import SPLITS, DataError, Recording
from codeclab.experiments.data.splits import assign_splits, overlap_remark, split_remark


def spoken(speakers: int, files: int, domain: str = "speech") -> list[Recording]:
    """Recordings of the same number of files of each speaker."""
    return [
        Recording(
            Path(f"{domain}-{s}-{f}"), domain, 16000, 1, 1.0, name=f"{domain}/{s}/{f}.wav", speaker=f"{domain}{s}"
        )
        for s in range(speakers)
        for f in range(files)
    ]


def splits_of(recordings: list[Recording]) -> dict[str, set[str | None]]:
    splits: dict[str, set[str | None]] = {}
    for recording in recordings:
        splits.setdefault(recording.speaker, set()).add(recording.split)
    return splits


@pytest.mark.parametrize(("speakers", "files"), [(3, 4), (3, 1), (10, 100), (200, 3)])
def test_a_speaker_is_in_one_split_and_every_split_has_one(speakers: int, files: int) -> None:
    recordings = spoken(speakers, files)
    assigned = assign_splits(recordings, seed=0)
    splits = splits_of(assigned)
    assert all(len(held) == 1 for held in splits.values())
    counts = {split: sum(held == {split} for held in splits.values()) for split in SPLITS}
    assert min(counts.values()) >= 1
    assert counts["train"] == max(counts.values())
    assert split_remark(recordings, assigned).startswith("split by speaker, because train/, valid/ and test/ are")
    assert overlap_remark(assigned) == ""


def test_four_files_to_test_on_are_of_as_few_speakers_as_hold_them() -> None:
    tested = [r.speaker for r in assign_splits(spoken(10, 100), seed=0) if r.split == "test"]
    assert len(tested) == 100
    tested = [r.speaker for r in assign_splits(spoken(10, 2), seed=0) if r.split == "test"]
    assert len(tested) == 4


def test_files_that_are_added_move_no_speaker() -> None:
    few, many = spoken(400, 1), spoken(400, 5)
    before, after = splits_of(assign_splits(few, 0)), splits_of(assign_splits(many, 0))
    assert before == after
    assert {"test", "valid"} <= {split for held in before.values() for split in held}


def test_too_few_speakers_to_be_apart_are_split_by_file_and_it_is_told() -> None:
    recordings = [*spoken(2, 20), *spoken(5, 4, "song")]
    assigned = assign_splits(recordings, seed=0)
    plain = assign_splits([replace(recording, speaker="") for recording in recordings[:40]], seed=0)
    assert [r.split for r in assigned[:40]] == [r.split for r in plain]
    assert all(len(held) == 1 for speaker, held in splits_of(assigned).items() if speaker.startswith("song"))
    assert split_remark(recordings, assigned).startswith("split by speaker where known, else by file, because ")
    names = sorted({r.speaker for r in assigned if r.split == "test"} - {f"song{i}" for i in range(5)})
    tested = len({r.speaker for r in assigned if r.split == "test"})
    verb = "is" if len(names) == 1 else "are"
    expected = f"{len(names)} of {tested} speakers to test on {verb} in train, too: {', '.join(names)}"
    assert overlap_remark(assigned) == expected


def test_what_one_file_joins_is_one_group() -> None:
    """A conversation of two speakers, cut: both stay with it, wherever else they speak."""
    talk = [
        Recording(
            Path("talk"), "all", 16000, 1, 1.0, name=f"talk [{i}+1 s]", part_of="talk", start=i, speaker=f"all{i}"
        )
        for i in range(2)
    ]
    assigned = assign_splits([*spoken(30, 3, "all"), *talk], seed=1)
    assert splits_of(assigned)["all0"] == splits_of(assigned)["all1"]
    given = [replace(talk[0], split="test"), talk[1], *spoken(30, 1, "all")]
    assert {r.split for r in assign_splits(given, seed=0) if r.speaker in ("all0", "all1")} == {"test"}


def test_a_speaker_that_a_run_knows_keeps_its_split() -> None:
    few = spoken(12, 2)
    known = {r.name: str(r.split) for r in assign_splits(few, 0)}
    later = splits_of(assign_splits(spoken(12, 30), 0, known=known))
    assert all(len(held) == 1 for held in later.values())
    assert later == splits_of(assign_splits(few, 0))


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(4000), 16000)


def test_given_splits_that_share_files_or_speakers_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(6):
        write(tmp_path / f"{index}.wav", index)
    (tmp_path / "link.wav").symlink_to("0.wav")
    rows = ["path,split,speaker", "0.wav,train,a", "1.wav,train,b", "2.wav,valid,c", "3.wav,test,d"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    scan(tmp_path)
    assert caplog.text == ""
    (tmp_path / "manifest.csv").write_text("\n".join([*rows, "link.wav,test,e", "4.wav,test,b", "5.wav,test,a"]))
    scan(tmp_path)
    assert "1 of 4 files to test on is in train, too: link.wav; 2 of 4 speakers to test on are in train, too: a, b" in (
        caplog.text
    )


def test_a_scan_finds_copies_and_their_splits_are_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(30):
        write(tmp_path / f"{index:02}.wav", index)
        shutil.copy(tmp_path / f"{index:02}.wav", tmp_path / f"again{index:02}.wav")
    soundfile.write(tmp_path / "other.flac", soundfile.read(tmp_path / "00.wav")[0], 16000)  # the same sound alone
    with pytest.raises(SystemExit) as ended:
        main(["data", "scan", str(tmp_path), "--workers", "1"])
    assert ended.value.code == 0
    assert "copies of other files: 30: again00.wav (of 00.wav); again01.wav (of 01.wav); " in capsys.readouterr().out
    rows = {row["path"]: row["copy_of"] for row in read_rows(tmp_path / "manifest.csv")}
    assert rows == {f"again{i:02}.wav": f"{i:02}.wav" for i in range(30)} | dict.fromkeys(
        [*(f"{i:02}.wav" for i in range(30)), "other.flac"], ""
    )
    splits = {recording.name: recording.split for recording in scan(tmp_path).split("all")}
    assert all(splits[name] == splits[original] for name, original in rows.items() if original)
    assert set(splits.values()) == set(SPLITS)
    # Another scan of the manifest finds what is a copy now.
    (tmp_path / "again00.wav").unlink()
    write(tmp_path / "again00.wav", 99)
    main_ended(["data", "scan", str(tmp_path), "--workers", "1", "--overwrite"])
    again = {row["path"]: row["copy_of"] for row in read_rows(tmp_path / "manifest.csv")}
    assert again == rows | {"again00.wav": ""}
    # With splits given by folder, a copy that is tested on is told.
    for split, name in (("train", "03.wav"), ("test", "again03.wav"), ("test", "04.wav"), ("valid", "05.wav")):
        (tmp_path / "split" / split).mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / "split" / split / name)
    main_ended(["data", "scan", str(tmp_path / "split"), "--workers", "1"])
    caplog.clear()
    scan(tmp_path / "split")
    assert "split: 1 of 2 files to test on is in train, too: test/again03.wav" in caplog.text


def main_ended(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0


def test_a_name_that_holds_a_speaker_is_told_the_column_for_it(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.wav", 0)
    (tmp_path / "manifest.csv").write_text("path,name\na.wav,ann\nb.wav,ann\n")
    with pytest.raises(DataError, match="put the speaker into a column 'speaker'"):
        scan(tmp_path)
