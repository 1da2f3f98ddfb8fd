import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from codeclab.benchmarks.evaluate.statistics import crossed_interval, over_seeds, summarize

NAN = math.nan


def per_file(scores: dict[str, float], bitrate: float = 6.0) -> pd.DataFrame:
    domains = ["speech" if name < "c" else "music" for name in scores]
    columns = {"name": list(scores), "domain": domains, "seconds": 1.0, "bitrate_kbps": bitrate, "failures": ""}
    return pd.DataFrame({**columns, "si_sdr": list(scores.values())})


def test_one_seed_is_the_summary_of_its_files() -> None:
    table = pd.concat([per_file({"a": 1.0, "b": 2.0, "c": 4.0, "d": NAN}), per_file({"a": 5.0, "b": 2.0}, 12.0)])
    pd.testing.assert_frame_equal(over_seeds([table]), summarize(table))


def test_two_seeds_by_hand() -> None:
    result = over_seeds([per_file({"a": 1.0, "b": 3.0, "c": 5.0}), per_file({"a": 3.0, "b": 5.0, "c": 7.0})])
    line = result[result["domain"] == "all"].iloc[0]
    # Files' means 2, 4, 6: variance 4 over 3 files. Seeds' means 3, 5: variance 2 over 2 seeds.
    files, seeds = 4 / 3, 2 / 2
    freedom = (files + seeds) ** 2 / (files**2 / 2 + seeds**2 / 1)
    assert line["mean"] == pytest.approx(4.0)
    assert line["ci95"] == pytest.approx(student.ppf(0.975, freedom) * math.sqrt(files + seeds))
    assert (line["n"], line["failed"]) == (3, 0)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """A simulation: the true mean over all files and seeds, from draws of both."""
    rng = np.random.default_rng(0)
    for file_spread, seed_spread, noise in ((2.0, 0.0, 0.3), (1.0, 1.0, 0.3), (0.2, 1.0, 0.1)):
        caught = naive = 0
        for _ in range(1000):
            scores = file_spread * rng.normal(size=(1, 12)) + seed_spread * rng.normal(size=(3, 1))
            scores = 7.0 + scores + noise * rng.normal(size=(3, 12))
            interval = crossed_interval(scores)
            caught += abs(interval.mean - 7.0) < interval.half_width
            naive += abs(scores.mean() - 7.0) < student.ppf(0.975, 35) * scores.std(ddof=1) / 6
        assert 930 <= caught <= 1000
        assert naive < 900  # scores of one file, or of one seed, are not independent


def test_failed_files() -> None:
    result = over_seeds([per_file({"a": 1.0, "b": NAN, "c": NAN}), per_file({"a": 2.0, "b": 4.0, "c": NAN})])
    line = result[result["domain"] == "all"].iloc[0]
    assert (line["n"], line["failed"]) == (1, 2)
    assert line["mean"] == pytest.approx((1.0 + 4.0 + 2.0 + 4.0) / 4)  # b stands for itself where its seed failed
    nothing = over_seeds([per_file({"a": NAN}), per_file({"a": NAN})]).iloc[0]
    assert math.isnan(nothing["mean"])
    assert (nothing["n"], nothing["failed"]) == (0, 1)
    assert (
        crossed_interval(np.array([[1.0, 3.0], [NAN, NAN]])).mean == 2.0
    )  # a seed that failed throughout says nothing


def test_figures_of_no_file_get_the_spread_over_seeds(make_summary) -> None:
    files = [per_file({"a": 1.0, "b": 2.0})] * 3
    rest = [make_summary(("all", 6.0, "codebook_usage", value, NAN, 2, 0)) for value in (0.2, 0.4, 0.6)]
    line = over_seeds(files, rest).iloc[-1]
    assert line["metric"] == "codebook_usage"
    assert line["mean"] == pytest.approx(0.4)
    assert line["ci95"] == pytest.approx(student.ppf(0.975, 2) * 0.2 / math.sqrt(3))


def test_seeds_measured_on_other_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="different clips"):
        over_seeds([per_file({"a": 1.0}), per_file({"b": 1.0})])
    with pytest.raises(ValueError, match="no seed"):
        over_seeds([])
