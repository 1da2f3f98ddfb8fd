"""Rows of a table, collected from the stored results of their jobs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.benchmarks.evaluate.statistics import metric_columns, over_seeds
from codeclab.benchmarks.tables.row import Origin, RowResult, RowSpec
from codeclab.codecs.bitrate import spent_bitrate
from codeclab.codecs.codec import Codec
from codeclab.experiments.config.recipes import codec_from_settings
from codeclab.experiments.listen import with_figures
from codeclab.experiments.runner.baseline_rows import measure_untrained, plan_measurement, untrained_columns
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Outcome
from codeclab.experiments.runner.perform import measured
from codeclab.experiments.runner.spec import TableSpec


def collect(draft: Draft, outcomes: Sequence[Outcome], spec: TableSpec) -> RowResult:
    """A row as the table prints it: its figures, or why there are none; ``outcomes`` are in the order of its jobs."""
    try:
        return _collect(draft, outcomes, spec)
    except (ValueError, RuntimeError, OSError) as error:
        return RowResult(draft.row, error=f"{type(error).__name__}: {error}")


def _collect(draft: Draft, outcomes: Sequence[Outcome], spec: TableSpec) -> RowResult:
    row = draft.row
    if draft.error:
        return RowResult(row, error=draft.error)
    if draft.codec_settings is not None:
        return _computed(row, codec_from_settings(draft.codec_settings), spec)
    failed = [(job, outcome.error) for job, outcome in zip(draft.jobs, outcomes, strict=True) if outcome.error]
    made = [job for job, outcome in zip(draft.jobs, outcomes, strict=True) if not outcome.error]
    error = "; ".join(f"seed {job.seed}: {why}" if len(draft.jobs) > 1 else str(why) for job, why in failed) or None
    if not made:
        return RowResult(row, error=error)
    if row.kind == "trained":
        figures = [measured(job) for job in made]
        origins = [Origin(job.folder.path, job.evaluation) for job in made]
    else:
        plan = plan_measurement(made[0])
        nominal = measure_untrained(made[0], plan)
        figures = [(nominal, untrained_columns(plan.subject, spec, nominal))]
        origins = [Origin(plan.folder.parent, plan.folder)]
    measurements = [(evaluation.as_spent(), evaluation.at_spent(columns)) for evaluation, columns in figures]
    first = measurements[0][0]
    seconds = [took for job in made if job.config and (took := job.folder.train_seconds) is not None]
    result = RowResult(
        row,
        summary=_summary_over_seeds(measurements),
        codebooks=first.codebooks if len(first.codebooks) else None,
        wall_seconds=float(np.mean(seconds)) if seconds else None,
        parameters=made[0].parameters or first.info.get("parameters"),
        error=error,
        requested=first.requested,
        seeds=len(made),
        per_file=[evaluation.per_file for evaluation, _ in measurements],
        origins=origins,
    )
    if "mushra" not in spec.columns:
        return result
    return _with_listening(result, Path(made[0].runs), [evaluation for evaluation, _ in figures])


def _with_listening(row: RowResult, runs: Path, measurements: Sequence[Evaluation]) -> RowResult:
    """A row with the listening figures of the codec, or of the first of several seeds that has some."""
    for evaluation in measurements:
        if row.listened is None:
            row = with_figures(row, runs, evaluation.info["codec"] or evaluation.info.get("baseline"))
    return row


def _summary_over_seeds(measurements: Sequence[tuple[Evaluation, DataFrame]]) -> DataFrame:
    """One summary of a row's runs, from each seed's evaluation and the table's columns as lines of a summary."""
    if len(measurements) == 1:
        evaluation, columns = measurements[0]
        return _joined([evaluation.summary, columns])
    scores, rest = [], []
    rates = [sorted(evaluation.per_file["bitrate_kbps"].unique()) for evaluation, _ in measurements]
    # A learnt rate differs from seed to seed: the row stands at the mean.
    means = np.mean(rates, axis=0) if len({len(seed_rates) for seed_rates in rates}) == 1 else rates[0]
    for (evaluation, columns), own in zip(measurements, rates, strict=True):
        mean_rates = dict(zip(own, means, strict=False))
        summary = evaluation.summary
        others = summary[~summary["metric"].isin(metric_columns(evaluation.per_file))]
        scores.append(evaluation.per_file.replace({"bitrate_kbps": mean_rates}))
        rest.append(_joined([others, columns]).replace({"bitrate_kbps": mean_rates}))
    return over_seeds(scores, rest)


def _joined(parts: Sequence[DataFrame]) -> DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _computed(row: RowSpec, codec: Codec, spec: TableSpec) -> RowResult:
    """A row of a codec that is only built: the columns that depend on no weights."""
    rates = spec.rates_of(row, codec.bitrates)
    columns = codec_columns(codec, spec.columns, rates)
    if codec.segments is None:
        return RowResult(row, summary=columns)
    spent = {rate: spent_bitrate(codec, codec.n_codebooks_for(rate)) for rate in rates}
    requested = {spent: nominal for nominal, spent in spent.items()}
    return RowResult(row, summary=columns.replace({"bitrate_kbps": spent}), requested=requested)
