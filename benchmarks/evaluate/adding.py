"""One evaluation added to another of the same codec on the same audio: more bitrates, metrics or clips."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.codes import CODES_KBPS, rates_spent
from codeclab.benchmarks.evaluate.evaluation import SPENT_KBPS, Evaluation
from codeclab.benchmarks.evaluate.statistics import IDENTITY_COLUMNS, REQUESTED_KBPS, metric_columns
from codeclab.benchmarks.metrics.synonyms import columns_named_as, named_as, one_of_each

BASIS = "basis"
"""In an evaluation's ``info``: what must be the same in two of them that are added, as a mapping."""


def added(before: Evaluation, later: Evaluation) -> Evaluation:
    """Both evaluations as one, with every clip, bitrate and metric of either; of two scores, the later one counts.

    The kbps that a learnt rate or a baseline spent is taken anew over all its clips. Of the statistics of
    codes and of sets of clips at one bitrate, those of more clips stay.

    Args:
        before: the stored evaluation.
        later: evaluation on the same basis, measured after it.

    Raises:
        ValueError: the two do not have the same basis.
    """
    if before.info.get(BASIS) != later.info.get(BASIS):
        raise ValueError("the two evaluations are of other codecs or other audio, and cannot be added")
    metrics = one_of_each(dict.fromkeys([*before.info["metrics"], *later.info["metrics"]]))
    before, later = _named_as(before, metrics), _named_as(later, metrics)
    rate = rate_column(before.per_file, later.per_file)
    per_file = _joined(before.per_file, later.per_file, rate)
    codebooks = _codebooks(before.codebooks, later.codebooks)
    info = _joined_info(before.info, later.info)
    if CODES_KBPS in per_file:
        groups = {float(kbps): per_file[per_file[rate] == kbps] for kbps in per_file[rate].unique()}
        spent = {key: rates_spent(group.assign(bitrate_kbps=0.0))[0.0] for key, group in groups.items()}
        # Two calls spent slightly different means at one rate; the codes' statistics follow.
        moved = dict(zip(per_file["bitrate_kbps"], per_file[rate].map(spent), strict=True))
        codebooks["bitrate_kbps"] = codebooks["bitrate_kbps"].replace(moved)
        per_file["bitrate_kbps"] = per_file[rate].map(spent)
        info["bitrates_kbps"] = [spent[key] for key in sorted(spent)]
        if "sets" in info:
            info["sets"] = [[line[0], moved.get(line[1], line[1]), *line[2:]] for line in info["sets"]]
        if rate == REQUESTED_KBPS:
            info[REQUESTED_KBPS] = sorted(spent)
    else:
        info["bitrates_kbps"] = sorted(float(kbps) for kbps in per_file["bitrate_kbps"].unique())
    return Evaluation(per_file, codebooks, info)


def _named_as(evaluation: Evaluation, metrics: Sequence[str]) -> Evaluation:
    """The same with its metrics under the names that they have among ``metrics``."""
    info = dict(evaluation.info)
    info["metrics"] = list(dict.fromkeys(named_as(name, metrics) for name in info["metrics"]))
    titles = info.get("titles", {})
    info["titles"] = {name: title for name, title in titles.items() if named_as(name, metrics) == name}
    return Evaluation(columns_named_as(evaluation.per_file, metrics), evaluation.codebooks, info)


def rate_column(*tables: DataFrame) -> str:
    """The column that says at which bitrate a row was measured, whatever it spent there."""
    if all(REQUESTED_KBPS in table for table in tables):
        return REQUESTED_KBPS
    return "n_codebooks" if all(CODES_KBPS in table for table in tables) else "bitrate_kbps"


def _joined(before: DataFrame, later: DataFrame, rate: str) -> DataFrame:
    keys = ["name", rate]
    old, new = before.set_index(keys), later.set_index(keys)
    joined = new.combine_first(old)
    order = [*old.index, *(key for key in new.index if key not in old.index)]
    joined = joined.loc[order].reset_index()
    named = [column for column in IDENTITY_COLUMNS if column in joined and column != "failures"]
    metrics = list(dict.fromkeys([*metric_columns(before), *metric_columns(later)]))
    both = (before.set_index(keys)["failures"], later.set_index(keys)["failures"])
    joined["failures"] = [_failures(line, metrics, both, (line["name"], line[rate])) for _, line in joined.iterrows()]
    return joined[[*named, *metrics, "failures"]]


def _failures(line: "pd.Series[Any]", metrics: Sequence[str], tried: Sequence["pd.Series[Any]"], key: Any) -> str:
    """Reasons of the metrics that have no score here, from whichever evaluation tried them."""
    reasons: dict[str, str] = {}
    for failures in tried:
        for text in str(failures.get(key, "")).split("; "):
            name, colon, reason = text.partition(": ")
            if colon:
                reasons[named_as(name, metrics)] = reason
    return "; ".join(f"{name}: {reasons[name]}" for name in metrics if pd.isna(line[name]) and name in reasons)


def _codebooks(before: DataFrame, later: DataFrame) -> DataFrame:
    """The statistics at each bitrate that are of more clips; of as many, the later ones."""
    if before.empty or later.empty:
        return (later if before.empty else before).copy()
    tables = []
    for rate in sorted({*before["bitrate_kbps"], *later["bitrate_kbps"]}):
        choices = [table[table["bitrate_kbps"] == rate] for table in (later, before)]
        tables.append(max(choices, key=lambda table: table["n"].max() if len(table) else 0))
    return pd.concat(tables, ignore_index=True)


def _joined_info(before: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    info = {**before, **later}
    info["metrics"] = list(dict.fromkeys([*before["metrics"], *later["metrics"]]))
    sets: dict[tuple[Any, ...], list[Any]] = {}
    for line in [*before.get("sets", []), *later.get("sets", [])]:
        key = tuple(line[:3])
        if key not in sets or line[4] >= sets[key][4]:  # of more clips, or of as many and later
            sets[key] = list(line)
    if sets:
        info["sets"] = list(sets.values())
    pairs = {**dict(before.get(SPENT_KBPS, [])), **dict(later.get(SPENT_KBPS, []))}
    if pairs:
        info[SPENT_KBPS] = sorted([nominal, spent] for nominal, spent in pairs.items())
    for name in ("visqol_mapping", "titles"):
        info[name] = {**before.get(name, {}), **later.get(name, {})}
    return info
