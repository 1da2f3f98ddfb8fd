"""Means with intervals, per domain and bitrate."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from pandas import DataFrame
from scipy.stats import t as student

ALL = "all"
"""The domain that stands for every clip."""

IDENTITY_COLUMNS = ("name", "domain", "seconds", "bitrate_kbps", "n_codebooks", "codes_kbps", "failures")
"""Columns of a per-file table that are not metrics."""

SUMMARY_COLUMNS = ["domain", "bitrate_kbps", "metric", "mean", "ci95", "n", "failed"]


class Interval(NamedTuple):
    """A mean with the half width of its 95 % confidence interval and the number of values behind it."""

    mean: float
    half_width: float
    n: int


def mean_interval(values: Iterable[float]) -> Interval:
    """Mean and 95 % interval, ``t(0.975, n - 1) * s / sqrt(n)``, of the values that are not NaN.

    Args:
        values: Scores, NaN where the metric failed.

    Returns:
        The mean (NaN without values), the half width (NaN with fewer than two), and ``n``.
    """
    found = np.asarray(list(values), dtype=np.float64)
    found = found[~np.isnan(found)]
    n = found.size
    if n == 0:
        return Interval(math.nan, math.nan, 0)
    if n == 1:
        return Interval(float(found[0]), math.nan, 1)
    half_width = float(student.ppf(0.975, n - 1)) * float(found.std(ddof=1)) / math.sqrt(n)
    return Interval(float(found.mean()), half_width, n)


def metric_columns(per_file: DataFrame) -> list[str]:
    """The columns of a per-file table that hold metrics."""
    return [column for column in per_file.columns if column not in IDENTITY_COLUMNS]


def summarize(per_file: DataFrame) -> DataFrame:
    """Means with 95 % intervals per domain (first ``"all"``, then each), bitrate and metric.

    Args:
        per_file: One row per clip and bitrate: the identity columns and one column per metric.

    Returns:
        Columns ``domain, bitrate_kbps, metric, mean, ci95, n, failed``; ``failed`` counts the clips without a score.
    """
    rows = []
    for domain in [ALL, *sorted(per_file["domain"].unique())]:
        of_domain = per_file if domain == ALL else per_file[per_file["domain"] == domain]
        for bitrate, group in of_domain.groupby("bitrate_kbps"):
            for metric in metric_columns(per_file):
                interval = mean_interval(group[metric])
                rows.append((domain, bitrate, metric, *interval, len(group) - interval.n))
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def paired_difference(first: DataFrame, second: DataFrame, metric: str) -> Interval:
    """Mean of ``first - second`` over the files on which both have a score, with its 95 % interval.

    Comparing on the same files removes the spread between files, which is usually the larger part of both intervals.

    Args:
        first: Per-file table of one codec at one bitrate.
        second: Per-file table of the other at one bitrate.
        metric: Column to compare.

    Raises:
        ValueError: A clip stands twice in one of them (two bitrates), or they share no clip.
    """
    for table in (first, second):
        if table["name"].duplicated().any():
            raise ValueError("a clip stands twice in a per-file table: choose one bitrate of each before comparing")
    joined = first.merge(second, on="name", suffixes=("_first", "_second"))
    if joined.empty:
        raise ValueError("the two per-file tables share no clip, so there is nothing to compare")
    return mean_interval(joined[f"{metric}_first"] - joined[f"{metric}_second"])
