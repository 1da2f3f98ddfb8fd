"""SI-SDR equals SI-SNR by definition: it is one column, under whichever name it was measured."""

import math
from pathlib import Path

import pandas as pd
import torch

from codeclab.benchmarks.evaluate.adding import added
from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS, Evaluation
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.metrics.synonyms import SAME, one_of_each
from codeclab.benchmarks.tables.grid import main_grid, paired_grids
from codeclab.benchmarks.tables.render import evaluation_text
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.runner.read import read_table


def evaluation(scores: dict[str, list[float]], rate: float = 6.0, failures: str = "") -> Evaluation:
    clips = range(len(next(iter(scores.values()))))
    rows = pd.DataFrame({"name": [f"{i}.wav" for i in clips], "domain": "speech", "seconds": 1.0})
    rows = rows.assign(bitrate_kbps=rate, n_codebooks=8, **scores, failures=failures)
    codebooks = pd.DataFrame(columns=CODEBOOK_COLUMNS)
    info = {"metrics": list(scores), "bitrates_kbps": [rate], "titles": {name: METRICS[name].title for name in scores}}
    return Evaluation(rows, codebooks, info)


def test_those_called_the_same_give_the_same_score() -> None:
    audio = torch.randn(2, 1, 4800, generator=torch.Generator().manual_seed(0)) + 0.3
    for names in SAME:
        scores = {METRICS[name].load()(audio[0], audio[0] + 0.1 * audio[1], 24000) for name in names}
        assert len(scores) == 1


def test_a_repeated_name_is_left_to_the_check_that_refuses_it() -> None:
    assert one_of_each(["si_sdr", "mel_distance", "si_snr"]) == ["si_sdr", "mel_distance"]
    assert one_of_each(["si_sdr", "si_sdr"]) == ["si_sdr", "si_sdr"]


def test_what_is_measured_later_under_the_other_name_is_added_to_the_column_that_is_there() -> None:
    before = evaluation({"si_snr": [1.0, math.nan]}, failures="si_snr: silent")
    result = evaluation({"si_sdr": [1.0, 2.0], "mel_distance": [0.5, 0.6]})
    whole = added(before, result)
    assert whole.per_file["si_snr"].tolist() == [1.0, 2.0]
    assert "si_sdr" not in whole.per_file
    assert whole.info["metrics"] == ["si_snr", "mel_distance"]
    assert whole.info["titles"] == {"si_snr": "SI-SNR", "mel_distance": "Mel distance"}
    printed = evaluation_text(whole)
    assert "SI-SNR" in printed
    assert "SI-SDR" not in printed


def test_why_it_failed_is_kept_under_the_name_of_the_column() -> None:
    before = evaluation({"si_snr": [1.0]}, rate=3.0)
    whole = added(before, evaluation({"si_sdr": [math.nan]}, failures="si_sdr: silent"))
    assert whole.per_file["failures"].tolist() == ["", "si_snr: silent"]


def test_an_older_evaluation_with_both_columns_shows_one() -> None:
    rates = [evaluation({"si_snr": [1.0, 2.0], "si_sdr": [1.0, 2.0]}).per_file]
    rates.append(rates[0].assign(bitrate_kbps=12.0, si_snr=math.nan, si_sdr=[3.0, 5.0]))
    stored = Evaluation(pd.concat(rates), evaluation({"si_snr": [1.0]}).codebooks, {
        "metrics": ["si_snr", "si_sdr"], "bitrates_kbps": [6.0, 12.0],
    })  # fmt: skip
    printed = evaluation_text(stored)
    assert "SI-SDR" not in printed
    assert "1.50" in printed
    assert "4.00" in printed


def test_runs_measured_under_either_name_stand_in_one_column_and_are_paired() -> None:
    rows = [
        RowResult.named(name, evaluated.summary, per_file=[evaluated.per_file])
        for name, evaluated in {
            "a": evaluation({"si_snr": [1.0, 3.0]}),
            "b": evaluation({"si_sdr": [2.0, 4.0]}),
        }.items()
    ]
    table = Table("t", "", ["si_sdr", "si_snr"], rows, against="a")
    assert main_grid(table).headings == ["Row", "kbps", "SI-SDR, dB ↑"]  # a paper's table keeps its name
    assert [row[2].text.split()[0] for row in main_grid(table).rows] == ["2.00", "3.00"]
    (paired,) = paired_grids(table).values()
    assert [cell.text for cell in paired.rows[0]][2].startswith("+1.00")


def test_a_table_of_both_measures_it_once(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("metrics: [mel_distance, si_sdr, si_snr]\nmargin: {si_snr: 0.1}\nrows: [{name: A, flags: ''}]\n")
    spec = read_table(str(path))
    assert spec.metrics == ["mel_distance", "si_sdr"]
    assert spec.margin == {"si_sdr": 0.1}
