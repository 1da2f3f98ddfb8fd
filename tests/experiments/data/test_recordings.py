"""The recordings in the package, and the words that name corpora."""

import csv
import logging
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.experiments.config.flags import read_request
from codeclab.experiments.config.words import read_words
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import RECORDINGS_FOLDER, corpus_title, open_corpus
from codeclab.experiments.runner.read import read_table

ALLOWED = {"CC0 1.0", "public domain", "CC BY 4.0"}
MEGABYTE = 1e6
with (RECORDINGS_FOLDER / "manifest.csv").open() as manifest:
    ROWS = list(csv.DictReader(manifest))


def _table(folder: Path, data: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"title: t\n{data}\nrows:\n  - {{name: a, flags: --config encodec_24khz}}\n")
    return str(path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["path"])
def test_every_file_decodes_and_is_what_the_manifest_says(row: dict[str, str]) -> None:
    path = RECORDINGS_FOLDER / row["path"]
    assert path.stat().st_size == int(row["bytes"])
    info = soundfile.info(path)
    assert (info.format, info.subtype) == ("FLAC", "PCM_16")
    assert (info.samplerate, info.channels) == (int(row["sample_rate"]), int(row["channels"])) == (16000, 1)
    audio, _ = soundfile.read(path)
    assert len(audio) / 16000 == pytest.approx(float(row["seconds"]), abs=1e-4)
    assert 0.005 < np.sqrt(np.mean(audio**2)) < 0.3
    assert row["path"].split("/")[:2] == [row["split"], row["domain"]]


def test_the_manifest_lists_every_file_once() -> None:
    files = {path.relative_to(RECORDINGS_FOLDER).as_posix() for path in RECORDINGS_FOLDER.rglob("*.flac")}
    assert sorted(files) == sorted(row["path"] for row in ROWS)


def test_no_speaker_is_in_two_splits() -> None:
    splits = defaultdict(set)
    for row in ROWS:
        # Who speaks is not known of some utterances of VCTK: all of that corpus counts as one speaker.
        splits["vctk" if row["speaker"].startswith("vctk") else row["speaker"]].add(row["split"])
    assert len(splits) >= 8
    assert all(len(names) == 1 for names in splits.values()), splits


def test_every_licence_allows_to_give_a_codec_away_and_every_source_is_attributed() -> None:
    text = (RECORDINGS_FOLDER / "ATTRIBUTION.md").read_text()
    lines = {cells[1].strip(): cells for line in text.splitlines() if len(cells := line.split("|")) == 6}
    for row in ROWS:
        assert row["licence"] in ALLOWED
        corpus = row["source"].split(" via ")[0]
        assert lines[corpus][3].strip() == row["licence"]
    for corpus, cells in lines.items():
        used = [row for row in ROWS if row["source"].split(" via ")[0] == corpus]
        assert sum(int(count) for count in re.findall(r"(\d+), (?:train|valid|test)", cells[4])) == len(used)


def test_they_are_six_to_eight_minutes_in_some_eight_megabytes() -> None:
    seconds = {
        split: sum(float(r["seconds"]) for r in ROWS if r["split"] == split) for split in ("train", "valid", "test")
    }
    assert 6 <= sum(seconds.values()) / 60 <= 8
    assert seconds["train"] > 300
    assert seconds["test"] > 80
    assert sum(r["split"] == "test" for r in ROWS) >= 16
    assert sum(path.stat().st_size for path in RECORDINGS_FOLDER.rglob("*")) < 8.5 * MEGABYTE


def test_data_recordings_are_those_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = AudioData("recordings", sample_rate=16000, batch_size=2, workers=0)
    assert {split: len(data.corpus.split(split)) for split in ("train", "valid", "test")} == {
        split: sum(row["split"] == split for row in ROWS) for split in ("train", "valid", "test")
    }
    assert data.summary().startswith("the recordings that ship with codeclab\n")
    clip = data.clips("test")[0]
    assert clip.sample_rate == 16000
    assert clip.audio.shape[0] == 1
    assert clip.domain == "speech"
    assert float(clip.audio.abs().max()) > 0.05


def test_a_path_of_that_name_goes_first_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    for name in "abc":
        soundfile.write(f"recordings/{name}.wav", np.full(1600, 0.1), 16000)
    with caplog.at_level(logging.WARNING):
        corpus = open_corpus("recordings")
    assert {r.name for r in corpus.split("all")} == {"a.wav", "b.wav", "c.wav"}
    assert f"{tmp_path / 'recordings'} exists, and is read instead of the recordings that ship" in caplog.text
    assert corpus_title("recordings") == "recordings"
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        open_corpus(str(tmp_path / "recordings"))
    assert "is read instead of" not in caplog.text


def test_the_word_synthetic_makes_the_same_runs_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert AudioData("synthetic").folder is None
    words = read_words(["--config", "encodec_24khz", "--data", "synthetic"])
    assert read_request(words).settings["data"]["folder"] is None
    assert corpus_title(None) == corpus_title("synthetic") == "the built-in synthetic corpus"
    assert corpus_title("recordings") == "the recordings that ship with codeclab"
    assert corpus_title("/sounds/mine") == "mine"


def test_a_table_may_name_its_corpus(tmp_path: Path) -> None:
    assert read_table(_table(tmp_path, "data: recordings")).data == "recordings"
    assert read_table(_table(tmp_path, "scale: mini")).data is None
