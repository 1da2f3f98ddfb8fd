"""`codeclab data scan`: the band as measured, the manifest, and scans that are killed."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.cli import data as data_scan
from codeclab.experiments.data import scanning
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.measuring import Measured, is_full_band, measure_band, measure_file
from codeclab.experiments.data.reader import resample

KILLED = """
import os, signal, sys
from codeclab.experiments.cli import data as data_scan
from codeclab.experiments.data.scanning import Journal
append = Journal.append
def append_and_die(self, key, row):
    append(self, key, row)
    left[0] -= 1
    if left[0] == 0:
        self._file.write('[1, "a line cut sh')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    left = [int(sys.argv[1])]
    Journal.append = append_and_die
    data_scan.run("data", sys.argv[2:])
"""

WAITS = """
import sys, time
from pathlib import Path
from codeclab.experiments.cli import data as data_scan
from codeclab.experiments.data import scanning
measure, note, go = scanning.measure_file, Path(sys.argv[1]), Path(sys.argv[2])
def measured(path, part):
    with note.open("a") as file:
        file.write(path.name + "\\n")
    while not go.exists():
        time.sleep(0.02)
    return measure(path, part)
scanning.measure_file = measured
sys.exit(data_scan.run("data", sys.argv[3:]))
"""


def _noise(seed: int, count: int, rate: int, cut: float | None = None, level: float = 0.05) -> np.ndarray:
    """White noise, with nothing at all above `cut` Hz."""
    spectrum = np.fft.rfft(level * np.random.default_rng(seed).standard_normal(count))
    if cut is not None:
        spectrum[np.fft.rfftfreq(count, 1 / rate) > cut] = 0
    return np.fft.irfft(spectrum, n=count)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two splits and two domains; full-band, band-limited, silent and unreadable files."""
    root = tmp_path / "corpus"
    for index in range(8):
        path = root / ("train", "test")[index % 2] / ("music", "speech")[index // 4] / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, _noise(index, 22050, 44100, None if index < 4 else 7900.0), 44100)
    soundfile.write(root / "train" / "speech" / "silent.wav", np.zeros(2000), 16000)
    (root / "train" / "speech" / "broken.wav").write_bytes(b"no audio")
    return root


def _rows(manifest: Path) -> dict[str, dict[str, str]]:
    with manifest.open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def _scan(*words: object) -> int:
    return data_scan.run("data", [str(word) for word in words])


@pytest.mark.parametrize(
    ("rate", "cut"), [(44100, 4000), (44100, 11025), (44100, 16000), (48000, 20000), (24000, 8000)]
)
def test_the_band_ends_where_a_low_pass_filter_ends(rate: int, cut: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _noise(1, rate, rate, cut), rate, subtype="PCM_16")
    measured = measure_file(tmp_path / "a.wav")
    assert cut - 500 <= measured.band_hz <= cut + 500
    assert not measured.full_band


def test_noise_is_full_band_at_any_level_above_rounding_and_at_any_rate_from_44100() -> None:
    for rate, level in ((44100, 0.1), (48000, 0.001), (96000, 0.1), (16000, 0.1)):
        band = measure_band(_noise(2, rate, rate, level=level)[None].astype(np.float32), rate)
        assert band == rate / 2
        assert is_full_band(band, rate) == (rate >= 44100)
    quiet = np.round(_noise(2, 44100, 44100, level=0.3 * 2**-15) * 2**15)[None] / 2**15
    assert measure_band(quiet.astype(np.float32), 44100) < 1000


def test_what_was_resampled_keeps_its_old_band() -> None:
    upsampled = resample(torch.from_numpy(_noise(3, 16000, 16000, 7000)[None]).float(), 16000, 48000)
    assert 7000 <= measure_band(upsampled.numpy(), 48000) <= 9000


def test_seldom_and_one_sided_energy_counts() -> None:
    stereo = np.zeros((2, 88200))
    stereo[1] = _noise(4, 88200, 44100, 6000)
    stereo[1, 40000:46000] += _noise(5, 6000, 44100)
    assert measure_band(stereo.astype(np.float32), 44100) == 22050


def test_the_recorded_files_have_the_bands_measured_elsewhere(shared: Path) -> None:
    folder = shared / "audio"
    with (folder / "bandwidth.csv").open() as file:
        bands = {row["path"]: float(row["band_limit_hz"]) for row in csv.DictReader(file)}
    chosen = sorted(bands)[::12]
    measured = {name: measure_file(folder / name) for name in chosen}
    assert all(abs(measured[name].band_hz - bands[name]) <= 500 for name in chosen)
    flags = _rows(folder / "manifest.csv")
    assert all(measured[name].full_band == (flags[name]["full_band"] == "true") for name in chosen)


def test_the_levels_are_those_of_the_samples(tmp_path: Path) -> None:
    time = np.arange(80 * 8000) / 8000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 8000, subtype="FLOAT")
    measured = measure_file(tmp_path / "a.wav")
    assert measured.rms_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert measured.peak_db == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert measured.seconds == 80.0


def test_a_scan_lists_what_was_measured(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _scan("scan", tree, "--workers", 1) == 0
    rows = _rows(tree / "manifest.csv")
    assert list(rows) == sorted(rows)
    assert len(rows) == 10
    full = rows["train/music/0.wav"]
    assert (full["split"], full["domain"], full["full_band"], full["band_hz"]) == ("train", "music", "true", "22050")
    assert (full["sample_rate"], full["channels"], full["seconds"]) == ("44100", "1", "0.5")
    assert rows["test/speech/5.wav"]["full_band"] == "false"
    assert rows["train/speech/silent.wav"]["problem"] == "silent"
    assert rows["train/speech/broken.wav"]["problem"].startswith("unreadable: ")
    assert str(tree) not in (tree / "manifest.csv").read_text()
    printed = capsys.readouterr().out
    assert "train  music               2 files      0.000 h        2 full-band" in printed
    assert "unusable: 2: train/speech/broken.wav (unreadable" in printed
    assert f"--data {tree} now reads this manifest; after adding files, scan again with --overwrite" in printed
    assert not list(tree.glob(".*"))


def test_the_manifest_is_the_same_from_any_number_of_processes(tree: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        assert _scan("scan", tree, "-o", tmp_path / f"{workers}.csv", "--workers", workers) == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_scan_goes_on(tree: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _scan("scan", tree, "-o", tmp_path / "whole.csv", "--workers", 1) == 0
    script, output = tmp_path / "killed.py", tmp_path / "killed.csv"
    script.write_text(KILLED)
    words = ["scan", str(tree), "-o", str(output), "--workers", str(workers)]
    died = subprocess.run([sys.executable, str(script), "4", *words], capture_output=True, timeout=600)
    assert died.returncode == -signal.SIGKILL
    assert not output.exists()
    measured: list[str] = []

    def count(path: Path, part: tuple[float, float] | None) -> Measured:
        measured.append(path.name)
        return measure_file(path, part)

    monkeypatch.setattr(scanning, "measure_file", count)
    assert _scan("scan", tree, "-o", output, "--workers", 1) == 0
    assert len(measured) == 6
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not scanning.Journal(output).path.exists()


def test_of_two_scans_at_once_the_second_is_refused_with_who_holds_it(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _scan("scan", tree, "-o", tmp_path / "whole.csv", "--workers", 1) == 0
    (tmp_path / "waits.py").write_text(WAITS)
    note, go, output = tmp_path / "note.txt", tmp_path / "go", tmp_path / "both.csv"
    words = ["scan", str(tree), "-o", str(output), "--workers", "1"]
    command = [sys.executable, str(tmp_path / "waits.py"), str(note), str(go), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        while not note.exists():
            assert first.poll() is None, first.communicate()
            time.sleep(0.02)
        capsys.readouterr()
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert second.returncode == 2
        message = f"codeclab data scan: {output} is in use by process {first.pid} on "
        assert second.stderr.startswith(message), second.stderr
        assert " since " in second.stderr
        assert "wait for it, or name another with -o" in second.stderr
        go.touch()
        first.communicate()
        assert first.returncode == 0
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(note.read_text().splitlines()) == 10  # nothing was measured twice
    third = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (third.returncode, "exists already" in third.stderr) == (2, True)


def test_a_file_that_changed_since_the_kill_is_measured_again(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.csv"
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    words = [sys.executable, str(script), "9", "scan", str(tree), "-o", str(output), "--workers", "1"]
    subprocess.run(words, capture_output=True, timeout=600)
    soundfile.write(tree / "test" / "music" / "1.wav", _noise(1, 9000, 22050), 22050)
    assert _scan("scan", tree, "-o", output, "--workers", 1) == 0
    assert {row["sample_rate"] for row in _rows(output).values()} == {"44100", "22050", "16000", ""}


def test_training_reads_a_scanned_manifest_without_opening_the_files(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = tmp_path / "elsewhere.csv"
    assert _scan("scan", tree, "-o", manifest, "--workers", 1) == 0
    (tree / "train" / "music" / "0.wav").unlink()
    soundfile.write(tree / "train" / "music" / "2.wav", _noise(1, 9000, 22050), 22050)
    opened = []
    monkeypatch.setattr(
        "codeclab.experiments.data.headers.read_header", lambda path: opened.append(path.name) or _fail()
    )
    with caplog.at_level(logging.WARNING):
        corpus = scan(manifest)
    assert opened == ["2.wav"]  # "0.wav" is gone
    reasons = dict(corpus.skipped)
    assert reasons["train/speech/silent.wav"] == "silent"
    assert reasons["train/music/0.wav"].startswith("unreadable")
    recordings = {recording.name: recording for recording in corpus.split("all")}
    assert len(recordings) == 6
    five = recordings["test/speech/5.wav"]
    assert (five.sample_rate, five.seconds, five.full_band, five.split) == (44100, 0.5, False, "test")
    assert five.band_hz == pytest.approx(8000, abs=500)
    assert five.rms_db == pytest.approx(20 * np.log10(0.05 * np.sqrt(7900 / 22050)), abs=0.2)


def _fail() -> None:
    raise OSError("not to be opened")


def test_a_manifest_can_be_measured_and_keeps_its_domains(tree: Path, tmp_path: Path) -> None:
    mine = tree / "mine.csv"
    mine.write_text("path,domain,split\ntrain/music/0.wav,drums,test\n")
    assert _scan("scan", mine, "-o", tmp_path / "a.csv", "--workers", 1) == 0
    (row,) = _rows(tmp_path / "a.csv").values()
    assert (row["domain"], row["split"], row["full_band"], row["name"]) == (
        "drums",
        "test",
        "true",
        "train/music/0.wav",
    )


def test_manifests_are_joined(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        assert _scan("scan", tree / split, "-o", tmp_path / split / "a.csv", "--workers", 1) == 0
    both = [tmp_path / split / "a.csv" for split in ("train", "test")]
    assert _scan("join", *both, "-o", tmp_path / "both.csv") == 0
    assert len(scan(tmp_path / "both.csv").split("all")) == 8
    assert _scan("join", both[0], both[0], "-o", tmp_path / "twice.csv") == 2
    assert "music/0.wav is in two manifests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scan", "{tree}/nowhere", "-o", "{tree}/a.csv"], "there is no folder or manifest"),
        (["scan", "{tree}/nowhere"], "there is no folder or manifest"),
        (["scan", "{tree}/listed.csv"], "is not a folder; say where to write with -o FILE.csv"),
        (["scan", "{tree}/taken.csv"], "its first line begins 'mine'"),
        (["scan", "{tree}/taken.csv", "-o", "{tree}/a.csv"], "its first line begins 'mine'"),
        (["scan", "{tree}/empty"], "no audio in"),
        (["scan", "{tree}", "-o", "{tree}/taken.csv"], "exists already; give another name with -o, or"),
        (["scan", "{tree}", "-o", "{tree}"], "is a folder; -o needs the name of a CSV file"),
        (["scan", "{tree}", "--workers", "0"], "--workers is 0; it should be at least 1"),
        (
            ["join", "{tree}/taken.csv", "-o", "{tree}/b.csv"],
            "is not a manifest, which is a CSV file with a 'path' column",
        ),
    ],
)
def test_bad_words_get_one_line(words: list[str], message: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "taken.csv").write_text("mine")
    (tree / "listed.csv").write_text("path\na.wav\n")
    (tree / "empty").mkdir()
    assert _scan(*(word.format(tree=tree) for word in words)) == 2
    assert message in capsys.readouterr().err
    assert (tree / "taken.csv").read_text() == "mine"


def test_a_dead_process_is_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scanning, "measure_file", os.abort)
    monkeypatch.setattr(scanning, "_prepare_worker", os.abort)
    assert _scan("scan", tree, "--workers", 2) == 2
    assert "a process that measures files died" in capsys.readouterr().err
    assert not (tree / "manifest.csv").exists()
