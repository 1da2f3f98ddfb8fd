"""``codeclab evaluate`` that adds, and ``codeclab compare``: requested and true bitrates, pairs, names of runs."""

import json
from pathlib import Path

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.runs.left_out import noted
from codeclab.experiments.runs.measure.compare import measure_at_each

CLIPS = ["--clips", "3", "--seconds", "0.5", "--workers", "0", "--data", "recordings", "--split", "test"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.fixture
def codecs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "runs" / name / "codec")


def test_a_baseline_shows_what_was_asked_and_spent_and_a_second_call_adds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["evaluate", "--baseline", "Opus", "--sample-rate", "16000", *CLIPS]
    assert run(*base, "--bitrates", "6", "--metrics", "si_snr", "si_sdr") == 0
    said = capsys.readouterr()
    assert "(6 requested)" in said.out
    assert "SI-SDR is SI-SNR by definition, both without the mean: one column" in said.err
    assert "SI-SDR" not in said.out
    assert run(*base, "--bitrates", "12", "--metrics", "mel_distance", "si_sdr") == 0
    said = capsys.readouterr()
    assert "added to what was measured before; SI-SDR is SI-SNR by definition" in said.out
    assert "SI-SDR, dB" not in said.out
    assert "(6 requested)" in said.out
    assert "(12 requested)" in said.out
    assert " Opus" in said.out  # the label
    stored = Evaluation.load(tmp_path / "evaluations" / "Opus")
    assert stored.info["requested_kbps"] == [6.0, 12.0]
    counts = stored.per_file.groupby("requested_kbps")[["si_snr", "mel_distance"]].count()
    assert counts.values.tolist() == [[3, 0], [3, 3]]
    assert run(*base, "--bitrates", "6", "--metrics", "si_snr", "--seconds", "0.7") == 0
    assert (
        "are of another codec, other audio or another split, and are now in evaluations/Opus-"
        in capsys.readouterr().out
    )
    (aside,) = (tmp_path / "evaluations").glob("Opus-*")
    assert Evaluation.load(aside).info["requested_kbps"] == [6.0, 12.0]


@pytest.mark.usefixtures("codecs")
def test_runs_and_baselines_in_one_table_with_paired_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "runs/first", "runs/second", "Opus", "--bitrates", "1.5", "6", *CLIPS]
    assert run(*words, "--metrics", "mel_distance", "-o", "out") == 0
    said = capsys.readouterr()
    assert "Clip by clip against first" in said.out
    assert "test clips of the recordings that ship with codeclab against originals at" in " ".join(said.out.split())
    figures = pd.read_csv(tmp_path / "out" / "table.csv")
    assert set(figures["row"]) == {"first", "second", "Opus"}
    paired = (tmp_path / "out" / "table.md").read_text().split("Clip by clip against first")[1]
    assert "| second | 1.5 |" in paired
    assert "| Opus | 6 |" in paired  # by the requested bitrate; the true one is a tenth off
    info = json.loads((tmp_path / "out" / "Opus" / "evaluation.json").read_text())
    assert info["requested_kbps"] == [6.0]  # Opus cannot do 1.5


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs" / "good-run").mkdir(parents=True)
    assert run("compare", "runs/god-run", "Opus") == 2
    assert capsys.readouterr().err.strip() == (
        "codeclab compare: there is no runs/god-run (did you mean runs/good-run?); runs holds: good-run"
    )
    assert run("evaluate", "runs/x", "--metrics", "si_srn") == 2
    assert "no metric si_srn (did you mean si_snr?)" in capsys.readouterr().err
    assert run("compare", "Opus") == 2
    assert "choose some, as in --bitrates 6 12" in capsys.readouterr().err


def test_the_files_left_out_are_those_of_all_bitrates() -> None:
    """A file that could be read at the last bitrate is still missing from the figures of the first."""

    def measure_at(rates: list[float]) -> Evaluation:
        lost = {"a.wav": "unreadable"} if rates == [6.0] else {}
        scores = pd.DataFrame([{"name": "b.wav", "bitrate_kbps": rates[0], "si_snr": 1.0, "failures": ""}])
        info = {"metrics": ["si_snr"], "left_out": {"files": 2, "reasons": lost, "shorter": {}}}
        return Evaluation(scores, pd.DataFrame(), info)

    whole = measure_at_each(measure_at, [6.0, 12.0])
    assert whole.info["bitrates_kbps"] == [6.0, 12.0]
    assert noted(whole.info) == LeftOut(2, {"a.wav": "unreadable"})
