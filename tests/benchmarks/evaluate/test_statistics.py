import math

import pandas as pd
import pytest
from scipy import stats

from codeclab.benchmarks.evaluate.statistics import mean_interval, over_seeds, summarize


def test_interval_by_hand() -> None:
    # 1, 2, 3, 4: s = sqrt(5 / 3), t(0.975, 3) = 3.182446 from a printed table, half width t * s / 2.
    mean, half_width, n = mean_interval([1, 2, math.nan, 3, 4])
    assert (mean, n) == (2.5, 4)
    assert half_width == pytest.approx(3.182446 * math.sqrt(5 / 3) / 2, abs=1e-6)


def test_interval_agrees_with_scipy() -> None:
    values = [0.3, -1.2, 4.4, 2.2, 0.9, 0.1, 7.5]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / 7, scale=stats.sem(values))
    mean, half_width, _ = mean_interval(values)
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    mean, half_width, n = mean_interval([3.0, math.nan])
    assert (mean, n) == (3.0, 1)
    assert math.isnan(half_width)
    mean, half_width, n = mean_interval([math.nan])
    assert n == 0
    assert math.isnan(mean)
    assert math.isnan(half_width)


def per_file() -> pd.DataFrame:
    rows = [
        ("a", "speech", 1.0, 6.0, 8, 1.0, ""),
        ("b", "speech", 1.0, 6.0, 8, 3.0, ""),
        ("c", "music", 1.0, 6.0, 8, math.nan, "si_sdr: silent"),
        ("a", "speech", 1.0, 3.0, 4, 0.5, ""),
    ]
    return pd.DataFrame(
        rows, columns=["name", "domain", "seconds", "bitrate_kbps", "n_codebooks", "si_sdr", "failures"]
    )


def test_summary_per_domain_and_bitrate_counts_what_failed() -> None:
    summary = summarize(per_file())
    lines = {(line.domain, line.bitrate_kbps): line for line in summary.itertuples()}
    assert list(lines) == [("all", 3.0), ("all", 6.0), ("music", 6.0), ("speech", 3.0), ("speech", 6.0)]
    assert lines["all", 6.0].mean == 2.0
    assert (lines["all", 6.0].n, lines["all", 6.0].failed) == (2, 1)
    # Two values one unit from their mean: s = sqrt(2), so the half width is t(0.975, 1) = 12.7062.
    assert lines["speech", 6.0].ci95 == pytest.approx(12.7062, abs=1e-4)
    assert math.isnan(lines["music", 6.0].mean)
    assert (lines["music", 6.0].n, lines["music", 6.0].failed) == (0, 1)


def test_what_was_never_measured_is_no_failure() -> None:
    added = per_file().assign(pesq=[2.0, 3.0, 1.5, math.nan])  # at 6 kbps alone, measured later
    summary = summarize(added).query("domain == 'all'")
    assert list(summary.query("metric == 'pesq'")["bitrate_kbps"]) == [6.0]
    added.loc[added["bitrate_kbps"] == 3.0, "failures"] = "pesq: no speech"
    assert list(summarize(added).query("domain == 'all' and metric == 'pesq'")["failed"]) == [1, 0]


def test_files_that_one_seed_failed_on_count_as_failed() -> None:
    def seed(*scores: float) -> pd.DataFrame:
        rows = [(f"{i}.wav", "speech", 6.0, score) for i, score in enumerate(scores)]
        return pd.DataFrame(rows, columns=["name", "domain", "bitrate_kbps", "si_sdr"])

    def counted(*seeds: pd.DataFrame) -> tuple[int, int]:
        line = over_seeds(seeds).iloc[0]
        return int(line["n"]), int(line["failed"])

    assert counted(seed(1.0, 2.0, 3.0), seed(1.5, 2.5, 3.5)) == (3, 0)
    assert counted(seed(1.0, 2.0, 3.0), seed(1.5, math.nan, 3.5)) == (2, 1)
    assert counted(seed(1.0, 2.0, 3.0), seed(math.nan, math.nan, math.nan)) == (0, 3)
