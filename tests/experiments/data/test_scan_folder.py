"""Scanning, joining and summing up manifests from Python."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.experiments.data.manifest import join_manifests
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.scan_folder import check_output, own_manifest, scan_folder
from codeclab.experiments.data.summary import first_names, not_listed, summarize


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        path = tmp_path / name / "music" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    return tmp_path


def test_a_folder_is_scanned_and_manifests_are_joined(folder: Path) -> None:
    manifests = [folder / f"{name}.csv" for name in ("a", "b")]
    for manifest in manifests:
        rows, skipped = scan_folder(folder / manifest.stem, manifest, 1, overwrite=False)
        assert skipped == []
        assert [row["name"] for row in rows] == [f"music/{manifest.stem}.wav"]
        with pytest.raises(DataError, match="exists already; give another name with -o"):
            scan_folder(folder / manifest.stem, manifest, 1, overwrite=False)
    header, line = manifests[0].read_text().splitlines()
    (folder / "own.csv").write_text(f"{header},speaker\n{line},ann\n")
    (again,), _ = scan_folder(folder / "own.csv", folder / "again.csv", 1, overwrite=False)
    assert (again["name"], again["speaker"]) == ("music/a.wav", "ann")
    joined = join_manifests(manifests, folder / "both.csv")
    assert [row["path"] for row in joined] == [(folder / n / "music" / f"{n}.wav").as_posix() for n in "ab"]
    assert summarize(joined).split() == ["-", "music", "2", "files", "0.001", "h", "0", "full-band"]
    with pytest.raises(DataError, match=r"music/a.wav is in two manifests; the second is .*both.csv"):
        join_manifests([manifests[0], folder / "both.csv"], folder / "out.csv")
    with pytest.raises(DataError, match="there is no folder or manifest"):
        scan_folder(folder / "none", folder / "out.csv", 1, overwrite=False)
    with pytest.raises(DataError, match="is a folder; -o needs the name of a CSV file"):
        check_output(folder, overwrite=True)
    with pytest.raises(DataError, match=r"there is no folder or manifest .*none$"):
        own_manifest(folder / "none")
    with pytest.raises(DataError, match=r"both.csv is not a folder; say where to write with -o FILE.csv"):
        own_manifest(folder / "both.csv")


def test_a_scan_in_one_call_writes_the_manifest_and_lists_what_it_left_out(folder: Path) -> None:
    (folder / "a" / "music" / "broken.wav").write_bytes(b"no audio")
    output = own_manifest(folder / "a")
    rows, skipped = scan_folder(folder / "a", output, workers=1, overwrite=False)
    assert output.is_file()
    assert [row["path"] for row in rows] == ["music/a.wav", "music/broken.wav"]
    assert skipped == []
    with pytest.raises(DataError, match="--workers is 0; it should be at least 1"):
        scan_folder(folder / "a", output, workers=0, overwrite=True)


def test_the_first_names_stand_for_many() -> None:
    assert first_names(["a", "b"]) == "2: a; b"
    assert first_names(list("abcdefg")) == "7: a; b; c; d; e; and 2 more"
    assert not_listed([("a", "silent")]) == "not listed: 1: a (silent)"
