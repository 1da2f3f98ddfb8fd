"""The papers' datasets: tiny trees laid out as each, split by each paper's rule."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.experiments.cli import data as data_scan
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.datasets import DATASETS, share_out

PAGE = Path(__file__).parents[3] / "experiments" / "data" / "DATASETS.md"


def _files(root: Path, *names: str) -> None:
    """Sound under any name: libsndfile looks at the content."""
    for index, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            soundfile.write(file, 0.1 * np.random.default_rng(index).standard_normal(400), 8000, format="WAV")


def _dns(root: Path) -> None:
    _files(root, *(f"datasets_fullband/clean_fullband/read_speech/book_{i:03d}.wav" for i in range(150)))
    _files(root, *(f"datasets_fullband/clean_fullband/german_speech/de/{i:03d}.wav" for i in range(50)))
    _files(root, "datasets_fullband/noise_fullband/n.wav", "datasets/impulse_responses/r.wav")


def _common_voice(root: Path) -> None:
    for language in ("en", "de"):
        _files(root, *(f"cv-corpus-7.0-2021-07-21/{language}/clips/c_{i}.mp3" for i in range(400)))
        (root / "cv-corpus-7.0-2021-07-21" / language / "validated.tsv").write_text("client_id\tpath\n")


def _audioset(root: Path) -> None:
    _files(root, *(f"unbalanced_train_segments/Y{i}.wav" for i in range(6)), "balanced_train_segments/Yb.wav")
    _files(root, *(f"eval_segments/e{i}.wav" for i in range(9)))


def _fsd50k(root: Path) -> None:
    _files(root, *(f"FSD50K.dev_audio/{i}.wav" for i in range(6)), *(f"FSD50K.eval_audio/{i}.wav" for i in range(8)))


def _jamendo(root: Path) -> None:
    lines = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for index in range(200):
        name = f"{index % 100:02d}/{1000 + index}"
        lines.append(f"track_{index}\tartist_{index // 2}\talbum_{index}\t{name}.mp3\t60.0\tgenre---a\tgenre---b")
        if index != 7:
            _files(root, f"raw_30s/audio/{name}{'.low' if index % 2 else ''}.mp3")
    (root / "data").mkdir()
    (root / "data" / "raw_30s.tsv").write_text("\n".join(lines) + "\n")


def _daps(root: Path) -> None:
    for sex in "fm":
        for number in range(1, 11):
            _files(root, *(f"daps/clean/{sex}{number}_script{i}_clean.wav" for i in (1, 2)))
    _files(root, "daps/clean/._f1_script1_clean.wav", "daps/breaths/f1_breath.wav", "daps/produced/f1_script1_x.wav")
    (root / "daps/clean/._f1_script1_clean.wav").unlink()


def _vctk(root: Path) -> None:
    for speaker in ("p225", "s5"):
        for i in (1, 2, 3):
            for microphone in (1, 2):
                _files(root, f"VCTK-Corpus-0.92/wav48_silence_trimmed/{speaker}/{speaker}_{i:03d}_mic{microphone}.flac")


def _musdb18(root: Path) -> None:
    _files(root, *(f"train/Band - {i}.stem.mp4" for i in range(5)), *(f"test/Other - {i}.stem.mp4" for i in range(3)))


TREES: dict[str, tuple[Callable[[Path], None], dict[str, int]]] = {
    "dns": (_dns, {"train": 196, "valid": 2, "test": 2}),
    "common_voice": (_common_voice, {"train": 796, "valid": 2, "test": 2}),
    "audioset": (_audioset, {"train": 7, "valid": 4, "test": 5}),
    "fsd50k": (_fsd50k, {"train": 6, "valid": 4, "test": 4}),
    "jamendo": (_jamendo, {"train": 192, "valid": 4, "test": 4}),
    "daps": (_daps, {"train": 32, "valid": 4, "test": 4}),
    "vctk": (_vctk, {"train": 6}),
    "musdb18": (_musdb18, {"train": 5, "test": 3}),
}


def _splits(name: str, root: Path) -> dict[str, str]:
    return {recording.name: str(recording.split) for recording in DATASETS[name].list_files(root)}


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_copy_is_split_as_the_paper_does(name: str, tmp_path: Path) -> None:
    make, expected = TREES[name]
    make(tmp_path / "here")
    splits = _splits(name, tmp_path / "here")
    counts = Counter(splits.values())
    if name == "jamendo":  # a track of one artist is missing, wherever that artist is
        assert sum(counts.values()) == 199
        assert all(abs(counts[split] - count) <= 1 for split, count in expected.items())
    else:
        assert counts == expected
    assert all(key.startswith(f"{name}/") for key in splits)
    make(tmp_path / "elsewhere" / "again")
    assert _splits(name, tmp_path / "elsewhere" / "again") == splits


def test_no_artist_is_in_two_splits(tmp_path: Path) -> None:
    _jamendo(tmp_path)
    splits: dict[int, set[str]] = {}
    for name, split in _splits("jamendo", tmp_path).items():
        track = int(name.rpartition("/")[2].partition(".")[0]) - 1000
        splits.setdefault(track // 2, set()).add(split)
    assert len(splits) == 100
    assert all(len(names) == 1 for names in splits.values())


def test_the_held_out_speakers_of_daps(tmp_path: Path) -> None:
    _daps(tmp_path)
    speakers: dict[str, set[str]] = {"train": set(), "valid": set(), "test": set()}
    for name, split in _splits("daps", tmp_path).items():
        speakers[split].add(name.rpartition("/")[2].split("_")[0])
    assert speakers["test"] == {"f10", "m10"}
    assert speakers["valid"] == {"f2", "m2"}
    assert len(speakers["train"]) == 16


def test_other_forms_of_the_same_datasets(tmp_path: Path) -> None:
    _files(tmp_path / "vctk", "wav48/p225/p225_001.wav")
    _files(tmp_path / "hq", "train/Band - A/mixture.wav", "train/Band - A/vocals.wav", "test/Band - B/mixture.wav")
    _files(tmp_path / "dns", *(f"read_speech/{i}.wav" for i in range(8)))
    _files(tmp_path / "cv", *(f"clips/{i}.mp3" for i in range(8)))
    assert _splits("vctk", tmp_path / "vctk") == {"vctk/wav48/p225/p225_001.wav": "train"}
    assert _splits("musdb18", tmp_path / "hq") == {
        "musdb18/train/Band - A/mixture.wav": "train", "musdb18/test/Band - B/mixture.wav": "test"
    }  # fmt: skip
    for name, folder in (("dns", "dns"), ("common_voice", "cv")):
        assert Counter(_splits(name, tmp_path / folder).values()) == {"train": 6, "valid": 1, "test": 1}


def test_random_shares_are_exact_and_unlike_one_another() -> None:
    names = [f"clip {i}" for i in range(1000)]
    split = share_out(names, names, 0.0025, 0.0025)
    assert [len(split[part]) for part in ("train", "valid", "test")] == [996, 2, 2]
    halves = share_out(names, names, 0.5, 0.5)
    assert len(halves["valid"]) == len(halves["test"]) == 500
    assert not halves["train"]
    first_half = sum(int(name.split()[1]) < 500 for name in halves["valid"])
    assert 200 < first_half < 300


@pytest.mark.parametrize("name", list(DATASETS))
def test_another_layout_is_refused_with_the_one_expected(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _files(tmp_path, "other/a.wav")
    assert data_scan.run("data", ["prepare", name, str(tmp_path), "-o", str(tmp_path / "a.csv")]) == 2
    message = capsys.readouterr().err
    assert "is not laid out as" in message
    assert DATASETS[name].layout.splitlines()[0] in message
    assert not (tmp_path / "a.csv").exists()


def test_prepared_manifests_join_into_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("daps", "musdb18", "fsd50k"):
        TREES[name][0](tmp_path / name)
        words = ["prepare", name, str(tmp_path / name), "-o", str(tmp_path / f"{name}.csv"), "--workers", "1"]
        assert data_scan.run("data", words) == 0
    manifests = [str(tmp_path / f"{name}.csv") for name in ("daps", "musdb18", "fsd50k")]
    assert data_scan.run("data", ["join", *manifests, "-o", str(tmp_path / "all" / "all.csv")]) == 0
    assert "written to" in capsys.readouterr().out
    corpus = scan(tmp_path / "all" / "all.csv")
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (43, 8, 11)
    assert Counter(recording.domain for recording in corpus.train) == {"speech": 32, "music": 5, "general": 6}
    assert not corpus.skipped
    names = {recording.name for recording in corpus.test}
    assert {"daps/daps/clean/f10_script1_clean.wav", "musdb18/test/Other - 0.stem.mp4"} <= names


def test_help_and_page_say_layout_rule_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        data_scan.run("data", ["prepare", "--help"])
    printed, page = capsys.readouterr().out, PAGE.read_text()
    for name, dataset in DATASETS.items():
        assert dataset.describe() in printed
        assert f"{name}: {dataset.describe()}" in page
