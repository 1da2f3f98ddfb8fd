"""What a run was trained on is known by whatever path it and the audio are named, and decides what is measured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.listen.choose_clips import split_of_sources
from codeclab.experiments.listen.sources import RowSource
from codeclab.experiments.runs.corpus_record import list_corpus, write_record
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.measure.evaluate import data_of
from codeclab.experiments.runs.measure.keep_evaluation import has_same_basis
from codeclab.experiments.runs.training_data import corpus_of, known_splits, label_of, run_of, trained_on


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of two domains of nine files, and ``runs/mine``, which was trained on it; worked in from above."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for domain in ("music", "speech"):
        (tmp_path / "audio" / domain).mkdir(parents=True)
        for index in range(9):
            sound = 0.1 * rng.standard_normal(4800 + 240 * index)
            soundfile.write(tmp_path / "audio" / domain / f"{index}.wav", sound, 24000)
    make_run(tmp_path / "runs" / "mine", "audio")
    return tmp_path


def make_run(folder: Path, audio: str, init: str = "null", record: bool = True) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"init: {init}\ndata:\n  folder: {audio}\n")
    if record:
        write_record(folder / "corpus.csv", list_corpus(AudioData(audio, workers=0).corpus))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(
    "name",
    ["audio", "audio/", "../{here}/audio", "{absolute}/audio", "linked", "audio/manifest.csv", "elsewhere.csv",
     "audio/speech", "."],
)  # fmt: skip
def test_the_audio_is_known_by_any_path_and_test_files_are_those_of_the_run(
    name: str, record: bool, workspace: Path
) -> None:
    make_run(workspace / "runs" / "other", "audio", record=record)
    wanted = {f"{workspace}/audio/{name}" for name in files_of(workspace / "runs" / "mine", "test")}
    (workspace / "linked").symlink_to("audio")
    rows = ["path"] + [str(path.relative_to(workspace)) for path in sorted((workspace / "audio").rglob("*.wav"))]
    if name.endswith("elsewhere.csv"):
        (workspace / "elsewhere.csv").write_text("\n".join(rows) + "\n")
    if name.endswith("manifest.csv"):
        (workspace / "audio/manifest.csv").write_text("\n".join(row.removeprefix("audio/") for row in rows) + "\n")
    named = name.format(here=workspace.name, absolute=workspace)
    run_folder = workspace / "runs" / "other"
    assert trained_on(run_folder, named)
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    files = {str(one.path.resolve()) for one in data_of(run_folder, named, codec).corpus.test}
    assert files == {path for path in wanted if name != "audio/speech" or "/speech/" in path}


def files_of(folder: Path, split: str) -> list[str]:
    table = pd.read_csv(folder / "corpus.csv")
    return list(table["name"][table["split"] == split])


def test_a_run_is_known_by_any_path(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = workspace / "runs" / "mine" / "codec"
    codec.mkdir()
    (workspace / "link").symlink_to("runs/mine")
    for path in ("runs/mine", "runs/mine/codec", "link", "link/codec", "runs/../runs/mine"):
        assert trained_on(Path(path), "audio"), path
        assert label_of(Path(path)) == "mine"
    monkeypatch.chdir(workspace / "runs" / "mine")
    for path in (".", "codec"):
        assert trained_on(Path(path), f"{workspace}/audio"), path
        assert label_of(Path(path)) == "mine"
    assert run_of(workspace / "runs") is None
    assert run_of(workspace / "runs" / "mine" / "checkpoints") is None


def test_the_corpus_of_a_run_is_named_from_here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(workspace / "runs" / "sounds", "null", record=False)
    assert corpus_of(Path("runs/sounds")) == "synthetic"
    assert corpus_of(Path("runs/mine")) == "audio"
    monkeypatch.chdir(workspace / "runs")
    assert corpus_of(Path("mine")) == str(workspace / "audio")
    with pytest.raises(RecipeError, match="no audio was given; add --data FOLDER .a codec that is not a run"):
        corpus_of(workspace / "audio")


def test_what_a_run_was_not_trained_on_is_not_taken_for_it(workspace: Path) -> None:
    (workspace / "other").mkdir()
    for index in range(4):
        shutil.copy(workspace / "audio/speech" / f"{index}.wav", workspace / "other" / f"{index + 1}.wav")
    assert not trained_on(Path("runs/mine"), "other")  # names of other files
    assert not trained_on(Path("runs/mine"), None)
    assert not trained_on(Path("runs/mine"), "recordings")
    assert not trained_on(Path("audio"), "audio")  # no run
    assert not trained_on(None, "audio")
    shutil.copytree(workspace / "audio", workspace / "copy")
    assert trained_on(Path("runs/mine"), "copy")


def test_names_that_a_manifest_gives_hide_no_file(workspace: Path) -> None:
    files = sorted((workspace / "audio").rglob("*.wav"))
    rows = [f"{path.relative_to(workspace)},{index}" for index, path in enumerate(files)]
    (workspace / "named.csv").write_text("\n".join(["path,name", *rows]) + "\n")
    make_run(workspace / "runs" / "named", "named.csv")
    splits = known_splits([Path("runs/named")], "audio/speech")
    record = pd.read_csv(workspace / "runs" / "named" / "corpus.csv", dtype=str).set_index("name")["split"]
    wanted = {path.name: record[str(index)] for index, path in enumerate(files) if path.parent.name == "speech"}
    assert splits == wanted


def test_a_run_that_started_from_another_was_trained_on_its_audio_too(workspace: Path) -> None:
    make_run(workspace / "runs" / "tuned", "recordings", init="runs/mine", record=False)
    assert trained_on(Path("runs/tuned"), "recordings")
    assert trained_on(Path("runs/tuned"), "audio")
    assert known_splits([Path("runs/tuned")], "audio") == known_splits([Path("runs/mine")], "audio")


def test_a_file_is_test_only_where_it_was_so_to_every_run(workspace: Path) -> None:
    make_run(workspace / "runs" / "other", "audio", record=False)
    name = files_of(workspace / "runs" / "mine", "test")[0]
    text = (workspace / "runs" / "mine" / "corpus.csv").read_text()
    (workspace / "runs" / "other" / "corpus.csv").write_text(text.replace(f"{name},test", f"{name},train"))
    both = known_splits([Path("runs/mine"), Path("runs/other")], "audio")
    assert both is not None
    assert both[name] == "train"
    assert sorted(n for n, split in both.items() if split == "test") == sorted(
        files_of(workspace / "runs/mine", "test")[1:]
    )


def test_a_listening_test_plays_test_clips_of_what_was_trained_on(workspace: Path) -> None:
    source = RowSource("mine", RunFolder(Path("runs/mine")), workspace / "none")
    (workspace / "linked").symlink_to("audio")
    assert split_of_sources([source], None) == "test"
    assert split_of_sources([source], "linked") == "test"
    shutil.copytree("audio", "other")
    for file in Path("other").rglob("*.wav"):
        file.rename(file.with_stem(f"other{file.stem}"))
    assert split_of_sources([source], "other") == "all"
    alone = RowSource("box", RunFolder(workspace / "codec"), workspace / "none")
    assert split_of_sources([alone], "audio") == "all"
    assert split_of_sources([alone], "recordings") == "test"  # whose split is given: the box was trained on the rest
    assert split_of_sources([alone, source], "audio/speech") == "test"


def test_evaluations_of_different_splits_never_mix(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    Codec.from_recipe("encodec_24khz", scale="laptop").save(workspace / "runs/mine/codec")
    options = ["--bitrates", "1.5", "--metrics", "si_snr", "--workers", "0"]
    tested = files_of(workspace / "runs" / "mine", "test")
    assert run("evaluate", "runs/mine", "--data", "audio", *options) == 0
    folder = workspace / "runs/mine/evaluation"
    assert sorted(Evaluation.load(folder).per_file["name"]) == sorted(tested)
    monkeypatch.chdir(workspace / "runs/mine")
    for path in (".", "codec"):
        where = ["-o", str(folder)]
        assert run("evaluate", path, "--data", str(workspace / "audio"), *options, *where) == 0
        assert "added to what was measured before" in capsys.readouterr().out
        assert sorted(Evaluation.load(folder).per_file["name"]) == sorted(tested)
    assert run("evaluate", ".", "--data", str(workspace / "audio"), "--split", "all", *options, "-o", str(folder)) == 0
    assert "another split, and are now in" in capsys.readouterr().out
    whole = Evaluation.load(folder)
    assert len(whole.per_file) == 18
    assert whole.info["name"] == "mine"
    assert run("evaluate", ".", "--data", str(workspace / "audio"), *options, "-o", str(folder)) == 0
    assert len(Evaluation.load(folder).per_file) == len(tested)  # what was moved aside is back


def test_an_older_evaluation_is_added_to_where_its_clips_are_of_the_split(workspace: Path) -> None:
    Codec.from_recipe("encodec_24khz", scale="laptop").save(workspace / "runs/mine/codec")
    options = ["--data", "audio", "--bitrates", "1.5", "--metrics", "si_snr", "--workers", "0"]
    assert run("evaluate", "runs/mine", *options, "-o", "all", "--split", "all") == 0
    assert run("evaluate", "runs/mine", *options, "-o", "test") == 0
    every, tested = Evaluation.load("all"), Evaluation.load("test")
    for name in ("all", "test"):  # as 0.1 kept them
        info = json.loads((workspace / name / "evaluation.json").read_text())
        del info["basis"]["split"]
        info["basis"]["folder"] = f"{workspace}/runs/../audio"
        (workspace / name / "evaluation.json").write_text(json.dumps(info))
    assert has_same_basis(Evaluation.load("test"), tested)
    assert has_same_basis(Evaluation.load("all"), every)
    assert not has_same_basis(Evaluation.load("all"), tested)
