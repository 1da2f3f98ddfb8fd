"""Means with intervals, per domain and bitrate."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.stats import t as student

ALL = "all"
"""The domain that stands for every clip."""


def domains_of(domain: str) -> tuple[str, ...]:
    """The domains that a clip counts in: ``ALL`` and its own, which is ``ALL``, too, in a test set without domains."""
    return (ALL,) if domain == ALL else (ALL, domain)


REQUESTED_KBPS = "requested_kbps"
"""Column of a per-file table, and entry of ``info``: the kbps that were requested, where others were spent."""

IDENTITY_COLUMNS = (
    *("name", "domain", "seconds", "bitrate_kbps", "n_codebooks", "codes_kbps", REQUESTED_KBPS),
    "failures",
)
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
        values: scores, NaN where the metric failed.

    Returns:
        the mean (NaN without values), the half width (NaN with fewer than two), and ``n``.
    """
    scores = np.asarray(list(values), dtype=np.float64)
    scores = scores[~np.isnan(scores)]
    n = scores.size
    if n == 0:
        return Interval(math.nan, math.nan, 0)
    spread = float(scores.std(ddof=1)) if n > 1 else math.nan
    half_width = float(student.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    return Interval(float(scores.mean()), half_width, n)


def by_domain(table: DataFrame) -> Iterator[tuple[str, DataFrame]]:
    """The whole table as ``ALL``, then the lines of each domain."""
    yield ALL, table
    for domain in sorted(set(table["domain"]) - {ALL}):
        yield domain, table[table["domain"] == domain]


def metric_columns(per_file: DataFrame) -> list[str]:
    """The columns of a per-file table that hold metrics."""
    return [column for column in per_file.columns if column not in IDENTITY_COLUMNS]


def was_measured(per_file: DataFrame, metric: str) -> bool:
    """Whether any clip has a score by a metric, or a reason for having none; not where only others were measured."""
    if per_file[metric].notna().any():
        return True
    return bool(per_file["failures"].astype(str).str.contains(rf"(?:^|; ){metric}: ").any())  # "metric: reason; …"


def summarize(per_file: DataFrame) -> DataFrame:
    """Means with 95 % intervals per domain (first ``"all"``, then each), bitrate and metric.

    Args:
        per_file: one row per clip and bitrate: the identity columns and one column per metric.

    Returns:
        columns ``domain, bitrate_kbps, metric, mean, ci95, n, failed``; ``failed`` counts the clips without a score.
        A metric by which no clip was measured at a bitrate has no line (``was_measured``).
    """
    rows = []
    for domain, of_domain in by_domain(per_file):
        for bitrate, group in of_domain.groupby("bitrate_kbps"):
            for metric in metric_columns(per_file):
                if was_measured(group, metric):
                    interval = mean_interval(group[metric])
                    rows.append((domain, bitrate, metric, *interval, len(group) - interval.n))
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def over_seeds(per_file: Sequence[DataFrame], rest: Sequence[DataFrame] = ()) -> DataFrame:
    """Means over files and seeds with 95 % intervals for both: what another seed, on other files, would give.

    A score is taken as ``grand mean + file + seed + error``, files and seeds both drawn at random and crossed. With
    ``s_f`` the deviation of the ``F`` means per file (over seeds) and ``s_s`` that of the ``S`` means per seed (over
    files), the grand mean's variance is at most ``v = s_f^2 / F + s_s^2 / S`` (the error is counted twice; that is
    little, and on the safe side), and the half width is ``t(0.975, d) sqrt(v)`` with Satterthwaite's degrees of freedom

        d = v^2 / ((s_f^2 / F)^2 / (F - 1) + (s_s^2 / S)^2 / (S - 1))

    An interval over all ``F S`` scores as if independent would take repeated files for new ones and the seeds' spread
    for noise between files. With one seed there is no spread over seeds: this is then ``summarize``.

    Args:
        per_file: the per-file table of each seed, on the same clips and at the same bitrates.
        rest: lines of each seed, as ``summarize`` gives them, of figures that are not of files (the codes' metrics, the
            table's columns): their means over seeds, with ``t(0.975, S - 1) s / sqrt(S)``.

    Returns:
        the columns of ``summarize``; ``n`` counts the files with a score from every seed, ``failed`` the others, which
        the mean takes as far as they have scores.

    Raises:
        ValueError: there is no table, or the seeds were measured at different bitrates or on different clips.
    """
    if not per_file:
        raise ValueError("there is no seed to take the mean of; give the per-file table of at least one")
    keys = [set(zip(table["name"], table["bitrate_kbps"], strict=True)) for table in per_file]
    if any(one != keys[0] for one in keys):
        raise ValueError("the seeds were measured on different clips or at different bitrates; measure all on the same")
    joined = pd.concat([table.assign(seed=seed) for seed, table in enumerate(per_file)], ignore_index=True)
    rows: list[tuple[Any, ...]] = []
    for domain, of_domain in by_domain(joined):
        for bitrate, group in of_domain.groupby("bitrate_kbps"):
            for metric in metric_columns(joined.drop(columns="seed")):
                scores = group.pivot(index="seed", columns="name", values=metric).to_numpy()
                mean, half_width, _ = crossed_interval(scores)
                failed = int(np.isnan(scores).any(axis=0).sum())
                rows.append((domain, bitrate, metric, mean, half_width, scores.shape[1] - failed, failed))
    for place, group in pd.concat(rest).groupby(SUMMARY_COLUMNS[:3], sort=False) if rest else ():
        mean, half_width, _ = mean_interval(group["mean"])
        rows.append((*place, mean, half_width, int(group["n"].max()), 0))
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def crossed_interval(scores: NDArray[np.float64]) -> Interval:
    """Mean and 95 % interval of scores ``[seeds, files]``, NaN where one failed; see ``over_seeds``.

    Returns:
        the mean, the half width (NaN with one file and one seed), and the number of files with a score.
    """
    scores = scores[~np.isnan(scores).all(axis=1)]
    scores = scores[:, ~np.isnan(scores).all(axis=0)]
    if scores.size == 0:
        return Interval(math.nan, math.nan, 0)
    # A file that one seed failed on stands in that seed's mean by what the others made of it.
    filled = np.where(np.isnan(scores), np.nanmean(scores, axis=0), scores)
    parts = [
        (means.var(ddof=1) / means.size, means.size - 1) for means in (filled.mean(0), filled.mean(1)) if means.size > 1
    ]
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts)
    if not parts:
        return Interval(float(filled.mean()), math.nan, 1)
    half_width = float(student.ppf(0.975, variance**2 / spread)) * math.sqrt(variance) if spread > 0 else 0.0
    return Interval(float(filled.mean()), half_width, scores.shape[1])
