"""Rows of a table that are measured and not trained: on the table's clips, once."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.tables.row import RowSpec
from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runner import baseline_rows
from codeclab.experiments.runner.baseline_rows import clip_settings, measure_untrained, untrained, untrained_columns
from codeclab.experiments.runner.collect import collect
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.corpus_record import list_corpus, write_record


def make_spec(row: RowSpec, bitrates: list[float] | int | None = None, sample_rate: int | None = 16000) -> TableSpec:
    return TableSpec(
        "t", "T", "", [row], ["si_sdr"], bitrates, "laptop", sample_rate, columns=["compression", "stride"]
    )


@pytest.fixture
def audio(tmp_path: Path) -> str:
    random = np.random.default_rng(0)
    for domain in ("speech", "music"):
        folder = tmp_path / "audio" / "test" / domain
        folder.mkdir(parents=True)
        for name in range(4):
            tone = 0.3 * np.sin(np.arange(16000) * (0.05 + 0.01 * name)) + 0.01 * random.standard_normal(16000)
            soundfile.write(folder / f"{name}.wav", tone, 16000)
    return str(tmp_path / "audio")


def job(spec: TableSpec, data: str | None, runs: Path, clips: dict[str, Any] | None = None) -> Job:
    return Job(spec, "row", str(runs), data=data, clips=clips or {}, workers=0)


def refuse_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: object, **__: object) -> Evaluation:
        raise AssertionError("measured again")

    monkeypatch.setattr(baseline_rows, "evaluate_on", again)


def test_a_baseline_is_measured_where_the_paper_did_and_kept(
    audio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = RowSpec("Opus", baseline={"part": "Opus", "rate": "constant"}, bitrate=12, published={"si_sdr": 1.0})
    spec, runs = make_spec(row, [6, 24]), tmp_path / "runs"
    result = measure_untrained(job(spec, audio, runs, clip_settings("laptop", [("data.clip_seconds", "0.5")])))
    assert result.info["requested_kbps"] == [12]
    assert result.info["bitrates_kbps"] == [pytest.approx(12)]
    assert len(result.per_file) == 8  # all there are: the scale takes up to 24
    assert set(result.per_file["seconds"]) == {0.5}
    assert list(result.summary["metric"].unique()) == ["si_sdr"]
    (folder,) = runs.glob("[!.]*")
    assert folder.name.startswith("opus-")
    columns = untrained_columns(untrained(row), spec, result).set_index("metric")["mean"]
    assert columns.to_dict() == {"compression": pytest.approx(256 / 12)}
    refuse_to_measure(monkeypatch)
    again = measure_untrained(job(spec, audio, runs, clip_settings("laptop", [("data.clip_seconds", 0.5)])))
    assert again.summary.equals(result.summary)
    with pytest.raises(AssertionError, match="measured again"):
        measure_untrained(job(spec, audio, runs))


def test_figures_of_files_that_have_changed_are_measured_anew(audio: str, tmp_path: Path) -> None:
    made = job(make_spec(RowSpec("Opus", baseline={"part": "Opus"}, bitrates=[12])), audio, tmp_path / "runs")
    before = measure_untrained(made)
    changed = Path(audio) / "test" / "music" / "0.wav"
    soundfile.write(changed, 0.1 * np.random.default_rng(1).standard_normal(16000), 16000)
    now = measure_untrained(made).per_file.set_index("name")["si_sdr"]
    differ = now != before.per_file.set_index("name")["si_sdr"]
    assert differ[differ].index.tolist() == ["test/music/0.wav"]


def test_training_files_of_the_tables_runs_are_no_test_clips(tmp_path: Path) -> None:
    for index in range(12):
        path = tmp_path / "audio" / f"{index:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(index).standard_normal(4000), 16000)
    audio, runs = str(tmp_path / "audio"), tmp_path / "runs"
    run = runs / "mine"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(f"data:\n  folder: {audio}\n")
    drawn = AudioData(audio, workers=0).corpus
    other = [one.name for one in (*drawn.train, *drawn.valid)][:3]
    splits = {one.name: "test" if one.name in other else "train" for one in drawn.split("all")}
    module = AudioData(audio, workers=0)
    module.known_splits = splits
    write_record(run / "corpus.csv", list_corpus(module.corpus))
    spec = make_spec(RowSpec("Opus", baseline={"part": "Opus"}, bitrates=[12]))
    plain = measure_untrained(job(spec, audio, runs))
    assert set(plain.per_file["name"]) == {one.name for one in drawn.test}
    beside = measure_untrained(replace(job(spec, audio, runs), beside=[str(run)]))
    assert sorted(beside.per_file["name"]) == sorted(other)
    trained = TableRequest.of(make_spec(RowSpec("Mine", codec=str(run))), data=audio)
    assert (trained.split, TableRequest.of(spec, data=audio).split) == ("test", "all")
    assert clip_settings(None, [("data.split_seed", "5")]) == {"split_seed": 5}


def test_what_was_not_finished_is_measured_anew(audio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = RowSpec("MP3", baseline={"part": "MP3"}, bitrates=[64])
    measure_untrained(job(make_spec(row), audio, tmp_path))
    (stamp,) = tmp_path.glob("mp3-*/evaluation/measured_as.json")
    stamp.unlink()
    refuse_to_measure(monkeypatch)
    with pytest.raises(AssertionError, match="measured again"):
        measure_untrained(job(make_spec(row), audio, tmp_path))


def test_a_codec_is_measured_and_not_trained(audio: str, tmp_path: Path) -> None:
    Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "mine")
    row = RowSpec("Mine", codec=str(tmp_path / "mine"))
    result = measure_untrained(job(make_spec(row, [3, 100]), audio, tmp_path / "runs"))
    assert result.info["bitrates_kbps"] == [3]
    assert result.info["codec"]
    assert len(result.per_file) == 8
    assert untrained_columns(untrained(row), make_spec(row), result)["metric"].tolist() == ["compression", "stride"]


def test_collecting_a_measured_row_loads_its_codec_once(
    audio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "mine")
    row = RowSpec("Mine", codec=str(tmp_path / "mine"))
    spec = replace(make_spec(row, [3]), columns=["stride", "mushra"])
    made = job(spec, audio, tmp_path / "runs")
    measure_untrained(made)
    loaded: list[str] = []

    def counting(name: str) -> Codec:
        loaded.append(name)
        return load(name)

    load = Codec.from_pretrained
    monkeypatch.setattr(Codec, "from_pretrained", counting)
    collected = collect(Draft(row, [made]), [Outcome()], spec)
    assert collected.error is None
    assert collected.summary is not None
    assert set(collected.summary["metric"]) == {"si_sdr", "stride"}
    assert loaded == [row.codec]


def test_the_row_says_what_is_missing(audio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    evs = RowSpec("EVS", baseline={"part": "CommandBaseline", "file": "evs"}, bitrate=5.9, published={"si_sdr": 1})
    with pytest.raises(RuntimeError, match="EVS needs EVS_cod and EVS_dec on the PATH"):
        measure_untrained(job(make_spec(evs, [6]), audio, tmp_path))
    assert not list(tmp_path.glob("evs-*"))


@pytest.mark.parametrize(
    ("row", "bitrates", "sample_rate", "message"),
    [
        (
            RowSpec("Opus", baseline={"part": "Opus"}),
            None,
            16000,
            "it offers none of the table's bitrates but any kbps",
        ),
        (
            RowSpec("Lyra", baseline={"part": "LyraV2"}),
            [12],
            16000,
            "bitrates but 3.2, 6, 9.2 kbps; give 'bitrates' in the row",
        ),
        (RowSpec("Opus", baseline={"part": "Opus"}), [12], None, "the table needs a 'sample_rate'"),
        (
            RowSpec("Opus", baseline={"part": "Opera"}),
            [12],
            16000,
            "no baseline 'Opera'; there are: CommandBaseline",
        ),
        (RowSpec("ReLU", flags=["--config", "x"]), [12], 16000, "has a 'codec' or a 'baseline'"),
    ],
)
def test_a_row_that_cannot_be_measured_is_refused(
    row: RowSpec, bitrates: list[float] | None, sample_rate: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises((RecipeError, ValueError), match=message):
        measure_untrained(job(make_spec(row, bitrates, sample_rate), None, tmp_path))


def test_the_clips_are_those_of_the_scale() -> None:
    assert clip_settings("laptop") == {"valid_clips": 6, "max_test_clips": 24, "clip_seconds": 3.0}
    settings = [("data.max_test_clips", "null"), ("trainer.max_steps", "5"), ("data.clip_seconds", 1.5)]
    assert clip_settings("laptop", settings) == {"valid_clips": 6, "max_test_clips": None, "clip_seconds": 1.5}
    assert clip_settings(None) == {}


def test_a_row_whose_models_are_missing_says_so_in_its_place_and_fails_no_table(
    audio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("CODECLAB_LYRA", raising=False)
    Codec.from_recipe("dac_16khz", scale="laptop").save(tmp_path / "mine")
    rows = [
        {"name": "Opus", "baseline": {"part": "Opus"}, "bitrates": [6, 12]},
        {"name": "Lyra V2", "baseline": {"part": "LyraV2"}},
        {"name": "Mine", "codec": str(tmp_path / "mine")},
    ]
    table = tmp_path / "beside.yaml"
    content = {"title": "T", "metrics": ["si_snr"], "sample_rate": 16000, "bitrates": [6], "rows": rows}
    table.write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as stopped:
        main(["table", str(table), "--data", audio, "--runs", str(tmp_path / "runs"), "--workers", "0", "--jobs", "1"])
    assert stopped.value.code == 0, capsys.readouterr().err
    text = (tmp_path / "runs" / "beside-paper" / "table.md").read_text()
    assert "| Lyra V2 | — | not here |" in text
    assert "* Lyra V2 is not here: Lyra V2 needs" in text
    figures = pd.read_csv(tmp_path / "runs" / "beside-paper" / "table.csv").query("domain == 'all'").set_index("row")
    assert list(figures.loc["Opus", "mean"].isna()) == [False, False]
    assert figures.loc["Lyra V2", "error"].startswith("not here: Lyra V2 needs")
    assert figures.loc["Mine", "bitrate_kbps"] == pytest.approx(6)


@pytest.mark.shared
@pytest.mark.slow
def test_opus_and_lyra_on_the_recordings_that_ship(tmp_path: Path) -> None:
    """Speech mode orders them as listeners do: Lyra V2 at 6 kbps far above Opus at 6, and Opus at 12 above both."""
    models = Path(__file__).resolve().parents[4] / "shared" / "baselines" / "lyra_v2"
    if not models.is_dir() or find_spec("ai_edge_litert") is None:
        pytest.skip("needs ../shared/baselines/lyra_v2 and LiteRT")
    result = {}
    for part, rates in (({"part": "Opus"}, [6, 12]), ({"part": "LyraV2", "folder": str(models)}, [3.2, 6, 9.2])):
        row = RowSpec(part["part"], baseline=part, bitrates=rates)
        spec = TableSpec("t", "T", "", [row], ["visqol_speech", "mel_distance"], None, "laptop", 16000)
        summary = measure_untrained(job(spec, "recordings", tmp_path)).summary
        for (kbps, metric), group in summary[summary["domain"] == "all"].groupby(["bitrate_kbps", "metric"]):
            result[part["part"], round(kbps, 1), metric] = group["mean"].item()
    rates = sorted({key[:2] for key in result})
    assert [kbps for name, kbps in rates if name == "LyraV2"] == [3.2, 6.0, 9.2]
    opus = [kbps for name, kbps in rates if name == "Opus"]
    assert opus == [pytest.approx(6, rel=0.15), pytest.approx(12, rel=0.15)]
    order = [("Opus", opus[0]), ("LyraV2", 3.2), ("LyraV2", 6.0), ("Opus", opus[1])]
    visqol = [result[*key, "visqol_speech"] for key in order]
    assert visqol == sorted(visqol)
    assert result["LyraV2", 6.0, "mel_distance"] < result["Opus", opus[0], "mel_distance"] - 0.5
