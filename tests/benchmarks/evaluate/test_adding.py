"""Two evaluations of one codec as one: nothing is lost, and what was spent is taken anew."""

import math
from pathlib import Path

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.adding import BASIS, added
from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS, Evaluation
from codeclab.benchmarks.evaluate.statistics import metric_columns


def books(kbps: float, n: int) -> list[tuple]:
    return [("all", kbps, name, 16, 0.5, 3.0, 0.3, n) for name in ("1", "all")]


FAILED = "mel_distance: x"


def evaluation(rows: list[dict], metrics: list[str], codebooks: list[tuple] = (), **info) -> Evaluation:
    per_file = pd.DataFrame([{"domain": "speech", "seconds": 1.0, "failures": ""} | row for row in rows])
    rates = sorted(per_file["bitrate_kbps"].unique())
    about = {"metrics": metrics, "bitrates_kbps": rates, BASIS: {"of": "a"}, **info}
    return Evaluation(per_file, pd.DataFrame(codebooks, columns=CODEBOOK_COLUMNS), about)


def test_bitrates_metrics_and_clips_of_either_are_there() -> None:
    first = evaluation(
        [{"name": n, "bitrate_kbps": 1.5, "n_codebooks": 2, "si_snr": s} for n, s in (("a", 1.0), ("b", 2.0))],
        ["si_snr"],
        books(1.5, 2),
    )
    second = evaluation(
        [
            {"name": "b", "bitrate_kbps": 1.5, "n_codebooks": 2, "mel_distance": 0.5},
            {
                "name": "b",
                "bitrate_kbps": 3.0,
                "n_codebooks": 4,
                "mel_distance": math.nan,
                "failures": "mel_distance: x",
            },
            {"name": "c", "bitrate_kbps": 3.0, "n_codebooks": 4, "mel_distance": 0.7},
        ],
        ["mel_distance"],
        [*books(1.5, 1), *books(3.0, 2)],
    )
    whole = added(first, second)
    scores = whole.per_file.set_index(["name", "bitrate_kbps"])
    assert list(scores.index) == [("a", 1.5), ("b", 1.5), ("b", 3.0), ("c", 3.0)]
    assert scores.loc[("b", 1.5), ["si_snr", "mel_distance", "n_codebooks"]].tolist() == [2.0, 0.5, 2]
    assert math.isnan(scores.loc[("a", 1.5), "mel_distance"])
    assert scores["failures"].tolist() == ["", "", "mel_distance: x", ""]
    assert whole.info["metrics"] == ["si_snr", "mel_distance"]
    assert whole.info["bitrates_kbps"] == [1.5, 3.0]
    # Of more clips, not of later.
    assert whole.codebooks.set_index("bitrate_kbps")["n"].to_dict() == {1.5: 2, 3.0: 2}
    means = whole.summary.set_index(["domain", "bitrate_kbps", "metric"])["mean"]
    assert means["all", 1.5, "si_snr"] == 1.5


def test_what_a_baseline_spent_is_the_mean_over_all_clips() -> None:
    def spent(name: str, kbps: float, seconds: float, mean: float) -> Evaluation:
        row = {
            "name": name,
            "seconds": seconds,
            "requested_kbps": 6.0,
            "codes_kbps": kbps,
            "bitrate_kbps": mean,
            "si_snr": 1.0,
        }
        return evaluation([row], ["si_snr"], requested_kbps=[6.0])

    whole = added(spent("a", 6.0, 1.0, 6.0), spent("b", 9.0, 2.0, 9.0))
    assert set(whole.per_file["bitrate_kbps"]) == {8.0}
    assert (whole.info["bitrates_kbps"], whole.info["requested_kbps"]) == ([8.0], [6.0])


def test_an_evaluation_saved_when_the_requested_bitrate_was_called_asked_is_read(tmp_path: Path) -> None:
    row = {"name": "a", "bitrate_kbps": 5.8, "asked_kbps": 6.0, "si_snr": 1.0}
    evaluation([row], ["si_snr"], asked_kbps=[6.0]).save(tmp_path)
    stored = Evaluation.load(tmp_path)
    assert stored.info["requested_kbps"] == [6.0]
    assert list(stored.per_file["requested_kbps"]) == [6.0]
    assert metric_columns(stored.per_file) == ["si_snr"]
    assert "asked_kbps" not in {*stored.info, *stored.per_file}


def test_evaluations_of_two_things_are_not_added() -> None:
    one = evaluation([{"name": "a", "bitrate_kbps": 1.5, "si_snr": 1.0}], ["si_snr"])
    other = evaluation([{"name": "a", "bitrate_kbps": 1.5, "si_snr": 1.0}], ["si_snr"], **{BASIS: {"of": "b"}})
    with pytest.raises(ValueError, match="of other codecs or other audio"):
        added(one, other)
