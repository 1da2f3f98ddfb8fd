"""Metrics that are one by definition: two papers' names for it make one column."""

from collections.abc import Iterable, Sequence

from pandas import DataFrame

SAME = (("si_snr", "si_sdr"),)
"""Names of one metric."""


def named_as(name: str, names: Iterable[str]) -> str:
    """The name of a metric among those names: the one that means the same, else its own."""
    known = list(names)
    if name in known:
        return name
    others = {other for same in SAME if name in same for other in same}
    return next((one for one in known if one in others), name)


def one_of_each(names: Iterable[str]) -> list[str]:
    """The names, with only the first of several names of one metric."""
    chosen: list[str] = []
    for name in names:
        if name in chosen or named_as(name, chosen) not in chosen:
            chosen.append(name)
    return chosen


def columns_named_as(per_file: DataFrame, names: Sequence[str]) -> DataFrame:
    """A per-file table whose metrics have the names they have among ``names``, one column each."""
    renamed = per_file.copy()
    for column in per_file.columns:
        name = named_as(str(column), names)
        if name != column:
            scores = renamed.pop(column)
            renamed[name] = renamed[name].combine_first(scores) if name in renamed else scores
    return renamed


def lines_named_as(summary: DataFrame, names: Sequence[str]) -> DataFrame:
    """A summary whose metrics have the names they have among ``names``; of two lines of one, that of more clips."""
    renamed = summary.assign(metric=[named_as(name, names) for name in summary["metric"]])
    key = ["domain", "bitrate_kbps", "metric"]
    most = renamed.sort_values("n", ascending=False, kind="stable").drop_duplicates(key)
    return renamed.loc[sorted(most.index)].reset_index(drop=True)
