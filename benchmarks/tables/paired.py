"""Rows beside one of them, clip by clip: differences on the same files."""

import math
from collections.abc import Sequence

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import ALL, metric_columns, over_seeds
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Score, Table
from codeclab.codecs.bitrate import about_bitrate


def paired_scores(row: RowResult, other: RowResult) -> dict[float, dict[str, Score]]:
    """Means over files of ``row``'s scores minus ``other``'s, by row's bitrate in kbps and by metric.

    Files differ far more than codecs do, and that spread is in both rows: taking it out makes the interval as narrow as
    the comparison is. Seeds are paired in their order; a row of more seeds than the other is compared over as many as
    both have. Bitrates are compared with the nearest of the other's within 5 %.

    Args:
        row: row with per-file tables.
        other: result it is compared with; measured on the same clips, at least in part.

    Returns:
        differences with their 95 % intervals (``over_seeds``); empty where nothing can be compared.
    """
    tables = list(zip(row.per_file, other.per_file, strict=False))
    matched = [_rates(first, second) for first, second in tables]
    scores: dict[float, dict[str, Score]] = {}
    for index, home in enumerate(matched[0] if matched else []):
        rates = [bitrates[index] for bitrates in matched if len(bitrates) > index]
        pairs = zip(tables, rates, strict=False)
        seeds = [_subtracted(first, second, own, theirs) for (first, second), (own, theirs) in pairs]
        common = set.intersection(*(set(seed["name"]) for seed in seeds))
        if common:
            summary = over_seeds([seed[seed["name"].isin(common)] for seed in seeds])
            cells = summary[summary["domain"] == ALL].itertuples()
            scores[home[0]] = {str(c.metric): Score(c.mean, c.ci95, c.n, c.failed) for c in cells}  # type: ignore[arg-type]
    return scores


def _rates(first: DataFrame, second: DataFrame) -> list[tuple[float, float]]:
    """Each of the first table's bitrates that the second has, too, with that."""
    theirs = sorted(second["bitrate_kbps"].unique())
    pairs = []
    for own in sorted(first["bitrate_kbps"].unique()):
        nearest = min(theirs, key=lambda rate: abs(rate - own))
        if about_bitrate(nearest, own):
            pairs.append((float(own), float(nearest)))
    return pairs


def _subtracted(first: DataFrame, second: DataFrame, own: float, theirs: float) -> DataFrame:
    """A per-file table of differences, all under one bitrate: those of a learnt rate differ between seeds."""
    metrics = [name for name in metric_columns(first) if name in metric_columns(second)]
    keys = ["name", "domain"]
    left = first.loc[first["bitrate_kbps"] == own, [*keys, *metrics]]
    right = second.loc[second["bitrate_kbps"] == theirs, [*keys, *metrics]]
    both = left.merge(right, on=keys, suffixes=("", " of the other"))
    differences = {name: both[name] - both[f"{name} of the other"] for name in metrics}
    return pd.DataFrame({name: both[name] for name in keys} | {"bitrate_kbps": 0.0} | differences)


def compared(table: Table) -> list[tuple[RowResult, float, dict[str, Score]]]:
    """Every row beside the one that the table compares with: row, kbps, differences; empty without such a row."""
    reference: Sequence[RowResult] = [row for row in table.rows if row.name == table.against and row.per_file]
    if not reference:
        return []
    return [
        (row, bitrate, scores)
        for row in table.rows
        if row is not reference[0]
        for bitrate, scores in paired_scores(row, reference[0]).items()
    ]


def is_clear(score: Score) -> bool:
    """Whether a difference's interval excludes 0."""
    return not math.isnan(score.ci95) and abs(score.mean) > score.ci95
