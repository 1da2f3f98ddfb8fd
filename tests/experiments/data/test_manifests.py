"""Manifests and folders as people have them: each works or is refused by name and line; nothing is dropped silently."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.cli import main
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.manifest import read_rows, write_rows
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, Recording
from codeclab.experiments.data.scanning import write_manifest
from codeclab.experiments.data.splits import assign_splits, split_remark


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, seconds: float = 1.0, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(len(path.name)).standard_normal(round(seconds * rate)), rate)


def every(corpus: Corpus) -> list[Recording]:
    return corpus.split("all")


def test_rows_that_share_a_name_are_refused(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.wav")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,name\na.wav,alice\nb.wav,alice\nc.wav,bob\n")
    with pytest.raises(
        DataError, match=r"line 3: the name 'alice' is already used in line 2; names should be unique .put the speaker"
    ):
        scan(tmp_path)
    manifest.write_text("path,domain\na.wav,speech\na.wav,music\nc.wav,music\n")
    with pytest.raises(DataError, match=r"line 3: the name 'a.wav' is already used in line 2"):
        scan(tmp_path)
    manifest.write_text("path\na.wav\nb.wav\nc.wav\na.wav\n")
    corpus = scan(tmp_path)
    assert len(every(corpus)) == 3
    assert corpus.skipped == [("a.wav", "listed twice, in lines 2 and 5")]


def test_parts_of_one_file_are_recordings_of_their_own(tmp_path: Path) -> None:
    ramp = np.linspace(-0.9, 0.9, 10 * 16000)
    soundfile.write(tmp_path / "a.wav", ramp, 16000, subtype="PCM_16")
    (tmp_path / "manifest.csv").write_text(
        "path,start,end,split\na.wav,,2.5,train\na.wav,2.5,5,train\na.wav,5,,valid\na.wav,1,2,test\na.wav,8,12,test\n"
    )
    corpus = scan(tmp_path)
    assert [(r.name, r.seconds) for r in every(corpus)] == [
        ("a.wav [0-2.5 s]", 2.5), ("a.wav [2.5-5 s]", 2.5), ("a.wav [5- s]", 5.0), ("a.wav [1-2 s]", 1.0)
    ]  # fmt: skip
    assert corpus.skipped == [("a.wav [8-12 s]", "a segment up to 12.00 s of a file of 10.00 s")]
    audio = corpus.read(corpus.train[1], 2.0, 1.0, 16000, 1)
    expected = torch.from_numpy(ramp[round(4.5 * 16000) : 5 * 16000]).float()
    torch.testing.assert_close(audio[0, :8000], expected, atol=1e-4, rtol=0)
    assert not audio[0, 8000:].any()  # of what follows the part in its file, nothing
    (tmp_path / "manifest.csv").write_text("path,start,end\na.wav,5,2\n")
    with pytest.raises(
        DataError, match="line 2: a segment has start '5', length '' and end '2'; start should be 0 or more"
    ):
        scan(tmp_path)


def test_parts_of_one_file_are_in_one_split_and_whole_files_stay_where_they_were(tmp_path: Path) -> None:
    parts = [
        Recording(tmp_path / f"{f}.wav", "all", 16000, 1, 1.0, name=f"{f}.wav [{i}+1 s]", part_of=f"{f}.wav", start=i)
        for f in range(20)
        for i in range(30)
    ]
    assigned = assign_splits(parts, seed=0)
    held = {r.part_of: {o.split for o in assigned if o.part_of == r.part_of} for r in assigned}
    assert all(len(splits) == 1 for splits in held.values())
    whole = [Recording(tmp_path / f"{f}.wav", "all", 16000, 1, 30.0, name=f"{f}.wav") for f in range(20)]
    by_hash = {r.name: {r.split} for r in assign_splits(whole, seed=0)}
    assert held == by_hash
    assert sum(splits == {"test"} for splits in held.values()) == 4
    # A part that was added later goes where the file's other parts are, given or known.
    given = [Recording(tmp_path / "0.wav", "all", 1, 1, 1.0, split="valid", name="x", part_of="0.wav"), parts[0]]
    assert [r.split for r in assign_splits(given, seed=0)] == ["valid", "valid"]
    known = {parts[0].name: "test"}
    assert [r.split for r in assign_splits(parts[:2], seed=0, known=known)] == ["test", "test"]


def test_parts_in_a_manifest_are_split_by_their_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(8):
        write(tmp_path / f"{index}.wav", 3.0)
    rows = [f"{index}.wav,{start},1" for index in range(8) for start in range(3)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,start,length", *rows]))
    with caplog.at_level(logging.WARNING):
        corpus = scan(tmp_path)
    held = [{r.path.name for r in getattr(corpus, split)} for split in SPLITS]
    assert [len(names) for names in held] == [3, 1, 4]
    assert not set.union(*held[:2]) & held[2]
    assert "split by file, because train/, valid/ and test/ are missing: 9 train, 3 valid, 12 test" in caplog.text
    (tmp_path / "manifest.csv").write_text("path,name,gain_db\n0.wav,soft,-6\n0.wav,loud,6\n1.wav,c,0\n2.wav,d,0")
    splits = {r.name: r.split for r in every(scan(tmp_path))}
    assert splits["soft"] == splits["loud"]


@pytest.mark.parametrize(
    ("given", "folders", "least"),
    [(["train"], "valid/ and test/ are", {"valid": 1, "test": 4}),
     (["train", "test"], "valid/ is", {"valid": 1})],
)  # fmt: skip
def test_what_is_cut_from_a_training_folder_is_said_and_has_the_floor(
    given: list[str], folders: str, least: dict[str, int]
) -> None:
    files = [
        Recording(Path(f"{split}{i}"), "speech", 16000, 1, 1.0, split=split, name=f"{split}/{i}")
        for split in given
        for i in range(8)
    ]
    assigned = assign_splits(files, seed=0)
    for split, count in least.items():
        assert sum(before.split != after.split == split for before, after in zip(files, assigned, strict=True)) == count
    counts = ", ".join(f"{sum(r.split == split for r in assigned)} {split}" for split in SPLITS)
    assert split_remark(files, assigned) == f"split by file, because {folders} missing: {counts}"
    three = [r for r in files if r.split == "train"][:3]
    assert "1 file of speech to test on is too few for 95 % intervals" in split_remark(three, assign_splits(three, 0))


def test_a_corpus_without_a_file_to_test_on_is_told_so() -> None:
    def remark(domain: str, splits: Sequence[str]) -> str:
        files = [Recording(Path(f"{i}"), domain, 16000, 1, 1.0, name=f"{i}") for i in range(len(splits))]
        return split_remark(files, [replace(file, split=split) for file, split in zip(files, splits, strict=True)])

    more = ": put more into a test/ folder beside a train/ folder"
    assert remark("all", ["train"]).endswith(f"0 test; no file is left to test on{more}")
    assert remark("noise", ["train", "valid"]).endswith(f"; no file of noise is left to test on{more}")
    few = "to test on are too few for 95 % intervals to be informative"
    assert remark("all", ["train", "test", "test"]).endswith(f"; 2 files {few}{more}")


def test_a_scanned_manifest_keeps_its_columns_and_measures_its_parts(tmp_path: Path) -> None:
    loud = np.concatenate([np.full(2 * 16000, 0.01), np.full(3 * 16000, 0.5)])
    soundfile.write(tmp_path / "a.wav", loud * np.where(np.arange(80000) % 2, 1, -1), 16000)
    write(tmp_path / "n.wav", 5.0)
    (tmp_path / "list.csv").write_text(
        "path,start,end,gain_db,mix_path,mix_start,mix_gain_db,speaker,domain\n"
        "a.wav,0,2,,,,,ann,speech\n"
        "a.wav,2,,-6,n.wav,1.25,-12,bob,speech\n"
        "a.wav,4.5,9,,,,,ann,speech\n"
        "n.wav,,,3,,,,,noise\n"
    )
    before = scan(tmp_path / "list.csv")
    (tmp_path / "sub").mkdir()
    output = tmp_path / "sub" / "out.csv"
    for source, target in ((tmp_path / "list.csv", output), (output, tmp_path / "again.csv")):
        with pytest.raises(SystemExit) as ended:
            main(["data", "scan", str(source), "--workers", "1", "-o", str(target)])
        assert ended.value.code == 0
        rows = {row["name"]: row for row in read_rows(target)}
        first, second, whole = rows["a.wav [0-2 s]"], rows["a.wav [2- s]"], rows.get("n.wav") or rows[""]
        assert [row["speaker"] for row in (first, second)] == ["ann", "bob"]
        assert [(row["start"], row["length"], row["seconds"]) for row in (first, second)] == [
            ("0", "2", "2.0"), ("2", "", "3.0")
        ]  # fmt: skip
        assert [(float(row["rms_db"]), float(row["peak_db"])) for row in (first, second)] == [
            pytest.approx((-40.0, -40.0), abs=0.05), pytest.approx((-6.02, -6.02), abs=0.05)
        ]  # fmt: skip
        assert (second["gain_db"], second["mix_start"], second["mix_gain_db"]) == ("-6", "1.25", "-12")
        assert (whole["gain_db"], whole["seconds"]) == ("3", "5.0")
        after = scan(target)
        splits = {split: sorted(r.name for r in getattr(after, split)) for split in SPLITS}
        assert splits == {split: sorted(r.name for r in getattr(before, split)) for split in SPLITS}
        for old in every(before):
            (new,) = [r for r in every(after) if r.name == old.name]
            assert torch.equal(after.read(new, 0.0, 2.0, 16000, 1), before.read(old, 0.0, 2.0, 16000, 1))
        if target == output:
            reason = "a segment up to 9.00 s of a file of 5.00 s"
            assert rows["a.wav [4.5-9 s]"]["problem"] == reason
            assert (after.skipped, before.skipped) == ([("a.wav [4.5-9 s]", reason)],) * 2


def test_joined_manifests_keep_their_parts_and_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 5.0)
    write(tmp_path / "b.wav", 5.0)
    (tmp_path / "one.csv").write_text("path,start,end,speaker\na.wav,0,2,ann\na.wav,2,4,ann\nb.wav,,,bob\n")
    (tmp_path / "sub").mkdir()
    output = tmp_path / "sub" / "joined.csv"
    with pytest.raises(SystemExit) as ended:
        main(["data", "join", str(tmp_path / "one.csv"), "-o", str(output)])
    assert ended.value.code == 0
    assert [row["speaker"] for row in read_rows(output)] == ["ann", "ann", "bob"]
    before, after = scan(tmp_path / "one.csv"), scan(output)
    assert [(r.name, r.split, r.start, r.seconds) for r in every(after)] == [
        (r.name, r.split, r.start, r.seconds) for r in every(before)
    ]


def test_a_manifest_that_is_not_utf_8_is_refused_by_line_and_never_ignored(tmp_path: Path) -> None:
    write(tmp_path / "ä.wav")
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(b"path,domain\n" + b"x.wav,speech\n" * 2000 + "x.wav,wörter\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"manifest.csv, line 2002: not UTF-8; save it as UTF-8"):
        scan(tmp_path)
    manifest.write_text("path\nä.wav\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"line 1: not UTF-8 but UTF-16"):
        scan(tmp_path)
    manifest.write_text("path\nä.wav\n", encoding="utf-8-sig")
    assert [r.name for r in every(scan(tmp_path))] == ["ä.wav"]


def test_names_with_blanks_are_scanned_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (" a.wav", "b .wav", 'c, "d".wav', "e.wav "):
        write(tmp_path / f"{name}".replace("e.wav ", "e .wav"))
    with pytest.raises(SystemExit) as ended:
        main(["data", "scan", str(tmp_path), "--workers", "1"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert sorted(r.name for r in every(scan(tmp_path))) == [" a.wav", "b .wav", 'c, "d".wav', "e .wav"]
    assert read_rows(tmp_path / "manifest.csv") == read_rows(tmp_path / "manifest.csv")
    assert write_rows([{"path": " x"}]).splitlines()[1].startswith('" x"')


def test_pipes_and_devices_in_a_folder_are_named_and_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "null.wav").symlink_to("/dev/null")
    (tmp_path / "folder.wav").mkdir()
    corpus = scan(tmp_path)
    assert [r.name for r in every(corpus)] == ["a.wav"]
    assert sorted(corpus.skipped) == [
        ("null.wav", "not a regular file but a pipe, device or folder"),
        ("pipe.wav", "not a regular file but a pipe, device or folder"),
    ]


def test_a_pipe_in_a_manifest_is_named_and_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    rows = "path,mix_path\na.wav,\nb.wav,\npipe.wav,\nc.wav,pipe.wav\n"
    (tmp_path / "list.csv").write_text(rows)
    corpus = scan(tmp_path / "list.csv")
    no_file = "unreadable: not a regular file but a pipe, device or folder"
    assert sorted(corpus.skipped) == [
        ("c.wav", f"pipe.wav, which is mixed into it, is {no_file}"),
        ("pipe.wav", no_file),
    ]
    with pytest.raises(SystemExit) as ended:
        main(["data", "scan", str(tmp_path / "list.csv"), "--workers", "1", "-o", str(tmp_path / "out.csv")])
    assert ended.value.code == 0
    assert f"unusable: 1: pipe.wav ({no_file})" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are any bytes on Linux alone")
def test_a_name_that_is_not_utf_8_is_left_out_by_name_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abcd":
        write(tmp_path / f"{name}.wav")
    os.rename(tmp_path / "d.wav", os.fsencode(tmp_path) + b"/caf\xe9.wav")
    reason = "its name is not UTF-8; rename it"
    corpus = scan(tmp_path)
    assert corpus.skipped == [("caf\\xe9.wav", reason)]
    assert LeftOut.of(corpus, {}).line == f"1 of 4 files left out: caf\\xe9.wav ({reason})"
    with pytest.raises(SystemExit) as ended:
        main(["data", "scan", str(tmp_path), "--workers", "1"])
    assert ended.value.code == 0
    assert f"not listed: 1: caf\\xe9.wav ({reason})" in capsys.readouterr().out
    # Where no folder is walked, the row says so.
    named = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    (row,) = write_manifest([Recording(Path(named), "all", 0, 0, 0.0, name="x")], tmp_path / "out.csv", 1, {})
    assert row["problem"] == f"unreadable: {reason}"
    assert "caf\\xe9.wav,x," in (tmp_path / "out.csv").read_text()


def test_a_domain_called_all_is_kept_separate_from_all_clips(tmp_path: Path) -> None:
    for name in ("test/all/a.wav", "test/speech/b.wav", "test/c.wav", "train/x.wav"):
        write(tmp_path / name)
    clips = AudioData(str(tmp_path), sample_rate=16000).clips("test")
    assert sorted((clip.name, clip.domain) for clip in clips) == [
        ("test/all/a.wav", "no domain"), ("test/c.wav", "no domain"), ("test/speech/b.wav", "speech")
    ]  # fmt: skip


def listed(domains: dict[str, int]) -> list[Recording]:
    return [
        Recording(Path(f"{domain}{i}"), domain, 16000, 1, 1.0, name=f"{domain}/{i}.wav")
        for domain, count in domains.items()
        for i in range(count)
    ]


def test_each_domain_of_eight_files_has_four_to_test_on_and_it_is_said() -> None:
    recordings = listed({"speech": 8, "music": 300, "noise": 3})
    assigned = assign_splits(recordings, seed=0)
    tested = {d: sum(r.domain == d and r.split == "test" for r in assigned) for d in ("speech", "music", "noise")}
    valid = {d: sum(r.domain == d and r.split == "valid" for r in assigned) for d in ("speech", "music")}
    assert tested["speech"] == 4
    assert tested["music"] == sum(r.split == "test" for r in assign_splits(listed({"music": 300}), 0, floor=False)) > 4
    assert valid["speech"] == 1
    assert tested["noise"] == 0
    remark = split_remark(recordings, assigned)
    assert remark.startswith("split by file, because train/, valid/ and test/ are missing: ")
    assert "; no file of noise is left to test on: put" in remark
    assert "put more into a test/ folder beside a train/ folder" in remark
    enough = listed({"speech": 20, "music": 20})
    assert "too few" not in split_remark(enough, assign_splits(enough, 0))
    given = [Recording(Path("a"), "all", 1, 1, 1.0, split="train", name="a")]
    assert split_remark(given, assign_splits(given, 0)) == ""


def test_files_that_a_run_knows_keep_their_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(12):
        write(tmp_path / f"{index}.wav", 0.1)
    with caplog.at_level(logging.WARNING):
        before = {r.name: str(r.split) for r in every(scan(tmp_path))}
    assert "4 test" in caplog.text
    for index in range(12, 40):
        write(tmp_path / f"{index}.wav", 0.1)
    anew = {r.name: r.split for r in every(scan(tmp_path))}
    splits = {r.name: r.split for r in every(scan(tmp_path, known=before))}
    assert {name: splits[name] for name in before} == before
    assert {name: anew[name] for name in before} != before  # a floor's lowest positions move as files come
    assert set(splits.values()) <= set(SPLITS)
