"""Rows of a table from what was kept of their jobs."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.benchmarks.evaluate.statistics import metric_columns, over_seeds
from codeclab.benchmarks.tables.table import Row
from codeclab.codecs.codec import Codec
from codeclab.experiments.runner.baseline_rows import untrained_columns
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Outcome
from codeclab.experiments.runner.listening import add_figures
from codeclab.experiments.runner.perform import measure_other, measured
from codeclab.experiments.runner.read import TableSpec
from codeclab.experiments.runs.folder import RunFolder


def collect(draft: Draft, outcomes: Sequence[Outcome], spec: TableSpec) -> Row:
    """A row as the table prints it: its figures, or why there are none.

    Args:
        draft: the row.
        outcomes: of its jobs, in their order.
        spec: the table.
    """
    try:
        row = _collect(draft, outcomes, spec)
        if "mushra" in spec.columns:
            _add_listening(row, draft, outcomes, spec)
        return row
    except (ValueError, RuntimeError, OSError) as error:
        return draft.row.printed(error=f"{type(error).__name__}: {error}")


def _collect(draft: Draft, outcomes: Sequence[Outcome], spec: TableSpec) -> Row:
    row = draft.row
    if draft.error:
        return row.printed(error=draft.error)
    if row.kind == "recipe":
        return _computed(draft, spec)
    failed = [(job, outcome.error) for job, outcome in zip(draft.jobs, outcomes, strict=True) if outcome.error]
    made = [job for job, outcome in zip(draft.jobs, outcomes, strict=True) if not outcome.error]
    error = "; ".join(f"seed {job.seed}: {why}" if len(draft.jobs) > 1 else str(why) for job, why in failed) or None
    if not made:
        return row.printed(error=error)
    if row.kind != "trained":
        evaluation = measure_other(made[0], spec, row)
        columns = untrained_columns(row, spec, evaluation)
        info = evaluation.info
        asked = dict(zip(info["bitrates_kbps"], info.get("asked_kbps") or info["bitrates_kbps"], strict=True))
        summary = _joined([evaluation.summary, columns])
        return row.printed(
            summary=summary,
            codebooks=_codebooks(evaluation),
            parameters=info.get("parameters"),
            asked=asked,
            per_file=[evaluation.per_file],
        )
    kept = [measured(job) for job in made]
    seconds = [found for job in made if (found := train_seconds(job.folder)) is not None]
    return row.printed(
        summary=summary_over_seeds(kept),
        codebooks=_codebooks(kept[0][0]),
        wall_seconds=float(np.mean(seconds)) if seconds else None,
        parameters=made[0].parameters,
        error=error,
        seeds=len(made),
        per_file=[evaluation.per_file for evaluation, _ in kept],
    )


def _add_listening(row: Row, draft: Draft, outcomes: Sequence[Outcome], spec: TableSpec) -> None:
    """What listeners found about the codec, or of several seeds about the first that was heard."""
    for job, outcome in zip(draft.jobs, outcomes, strict=True):
        if not outcome.error and row.listened is None:
            trained = draft.row.kind == "trained"
            info = (measured(job)[0] if trained else measure_other(job, spec, draft.row)).info
            add_figures(row, Path(job.runs), info["codec"] or info.get("baseline"))


def train_seconds(folder: RunFolder) -> float | None:
    """Seconds that a run's training took, over all its continuations."""
    timing = folder.path / "timing.json"
    return float(json.loads(timing.read_text())["train_seconds"]) if timing.is_file() else None


def summary_over_seeds(kept: Sequence[tuple[Evaluation, DataFrame]]) -> DataFrame:
    """One summary of a row's runs.

    Args:
        kept: of each seed, the evaluation and the table's columns as lines of a summary.
    """
    if len(kept) == 1:
        return _joined([kept[0][0].summary, kept[0][1]])
    scores, rest = [], []
    rates = [sorted(evaluation.per_file["bitrate_kbps"].unique()) for evaluation, _ in kept]
    # A learnt rate differs from seed to seed: the row stands at the mean.
    means = np.mean(rates, axis=0) if len({len(found) for found in rates}) == 1 else rates[0]
    for (evaluation, columns), own in zip(kept, rates, strict=True):
        place = dict(zip(own, means, strict=False))
        summary = evaluation.summary
        others = summary[~summary["metric"].isin(metric_columns(evaluation.per_file))]
        scores.append(evaluation.per_file.replace({"bitrate_kbps": place}))
        rest.append(_joined([others, columns]).replace({"bitrate_kbps": place}))
    return over_seeds(scores, rest)


def _joined(parts: Sequence[DataFrame]) -> DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _codebooks(evaluation: Evaluation) -> DataFrame | None:
    return evaluation.codebooks if len(evaluation.codebooks) else None


def _computed(draft: Draft, spec: TableSpec) -> Row:
    """A row of a codec that is only built: the columns that depend on no weights."""
    codec = Codec.from_recipe(str(draft.row.recipe))
    rates = spec.rates_of(draft.row, codec.bitrates)
    return draft.row.printed(summary=codec_columns(codec, spec.columns, rates))
