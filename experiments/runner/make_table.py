"""Makes a table: drafts and plans its rows, trains and measures those that are missing, collects and writes them."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.tables.render import write_table
from codeclab.benchmarks.tables.row import RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.timing import in_threads
from codeclab.codecs.wording import by_number, counted, did_you_mean
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.named import corpus_title
from codeclab.experiments.runner.collect import collect
from codeclab.experiments.runner.compute import Compute, describe_compute
from codeclab.experiments.runner.draft import Draft, draft_row
from codeclab.experiments.runner.job import Job, Outcome, slug
from codeclab.experiments.runner.launcher import LocalLauncher
from codeclab.experiments.runner.perform import is_made, perform, sweep
from codeclab.experiments.runner.plan import describe_plan, longest_first
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.slots import threads_each
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runner.wandb_table import log_table
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.left_out import noted, read_left_out
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.measure.clip_sets import ClipSet, are_different, clips_remark
from codeclab.experiments.runs.process import Notes

LONG_SCALES = ("lab", "paper", None)
"""Scales at which rows are trained for long enough to be ranked by one seed."""

Launcher = Callable[[Sequence[Job], bool], list[Outcome]]
"""Makes jobs, waiting for other runners or not, and returns their outcomes."""

Slots = Sequence[str | None]
"""For each row made at the same time, its GPU, or None for a share of the cores; empty for one row at a time."""


@dataclass(frozen=True)
class MadeTable:
    """A table that was made.

    Attributes:
        table: its rows, each with its request and its results.
        folder: folder of the files ``table.md``, ``.csv``, ``.tex``, ``.png`` and ``.json``.
    """

    table: Table = field(repr=False)
    folder: Path


def choose_rows(spec: TableSpec, wanted: list[str] | None) -> list[RowSpec]:
    """The requested rows; all by default.

    Raises:
        RecipeError: a row that the table does not have.
    """
    if not wanted:
        return spec.rows
    by_name = {key: row for row in spec.rows for key in (row.name, slug(row.name))}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        known = [row.name for row in spec.rows]
        near = did_you_mean(unknown[0], known)
        raise RecipeError(f"table {spec.name!r} has no row {', '.join(unknown)}{near}; it has: {', '.join(known)}")
    return [by_name[name] for name in wanted]


def launcher_here(runs: Path, slots: Slots) -> Launcher:
    """What makes jobs on this machine: each in a process of its own where there are slots, else all in this one."""
    if slots:
        return LocalLauncher(runs, slots)
    return lambda jobs, wait: [perform(job, wait) for job in jobs]


def launch(jobs: Sequence[Job], launcher: Launcher) -> dict[Job, Outcome]:
    """Make jobs; those that another runner is making come last, when that runner has released them."""
    outcomes = {job: Outcome() for job in jobs if is_made(job)}
    for wait in (False, True):
        left = [job for job in jobs if job not in outcomes or outcomes[job].busy]
        outcomes |= dict(zip(left, launcher(left, wait), strict=True))
    return outcomes


def draft_rows(request: TableRequest, chosen: Sequence[RowSpec], slots: Slots, notes: Notes) -> list[Draft]:
    """Build and check every row, time its batches, and print the plan.

    Args:
        request: request that every row has in common.
        chosen: specifications of the rows to make.
        slots: slot of each row that is made at the same time; None is a share of the cores.
        notes: printer of notes on what rows leave out of their recipes.

    Raises:
        RecipeError: no row can be trained, all for one reason, such as an unknown flag.
    """
    runs = Path(request.runs)
    with in_threads(threads_each(len(slots))) if request.on_cores else nullcontext():
        drafts = [draft_row(row, request, not request.elsewhere, notes) for row in chosen]
    beside = [str(job.folder.path) for draft in drafts for job in draft.jobs if job.config is not None]
    beside += [str(row.codec) for row in request.spec.rows if row.codec is not None]
    for draft in drafts:
        draft.jobs = [job if job.config is not None else replace(job, beside=beside) for job in draft.jobs]
    reasons = [draft.error for draft in drafts if draft.row.kind == "trained"]
    if len(reasons) > 1 and reasons[0] and len(set(reasons)) == 1:
        raise RecipeError(f"none of its {counted(len(reasons), 'row')} can be trained: {reasons[0]}")
    print(f"{request.spec.title}: {counted(len(chosen), 'row')} at scale {request.scale or 'paper'}", file=sys.stderr)
    print(describe_plan(drafts, runs, slots, request.elsewhere), file=sys.stderr)
    return drafts


def make_table(
    request: TableRequest, drafts: Sequence[Draft], slots: Slots, launcher: Launcher, output: Path | None = None
) -> MadeTable:
    """Train what is not trained yet, measure what is not measured, and write the table.

    Args:
        request: request that every row has in common.
        drafts: drafts of the rows.
        slots: slot of each row that is made at the same time; None is a share of the cores.
        launcher: launcher of the rows' jobs.
        output: folder to write the table to; None names a folder of runs after the table and its scale.
    """
    spec, scale = request.spec, request.scale
    jobs = longest_first(drafts) if slots else [job for draft in drafts for job in draft.jobs]
    outcomes = launch(jobs, launcher)
    made = [collect(draft, [outcomes[job] for job in draft.jobs], spec) for draft in drafts]
    under = _notes(spec, {draft.row.kind for draft in drafts}, scale, request.data, request.seeds)
    short = [draft for draft in drafts if draft.cut_short]
    trained = [draft.compute for draft in drafts if draft.compute is not None and not draft.error]
    seconds = [row.wall_seconds for row in made if row.wall_seconds is not None]
    under += describe_compute(trained, seconds, _device(), spec.compute)
    start = _common_start(drafts)
    under += _describe_start(start)
    under += _shortness(short)
    under += left_out_of(made)
    under += _different_clips(made, request.data)
    full_size = scale in LONG_SCALES and not short
    table = spec.printed(made, under, full_size or (request.seeds > 1 and not short), full_size)
    table.title += f"; rows start from {Path(start).name}" if start else ""
    runs = Path(request.runs)
    folder = output or runs / f"{spec.name}-{scale or 'paper'}"
    with RunLock(runs, folder.name, "table") as lock:
        lock.acquire(wait=True)
        sweep(folder)
        write_table(table, folder)
    log_table(table, {row.name: draft.jobs for row, draft in zip(made, drafts, strict=True)}, folder)
    return MadeTable(table, folder)


def left_out_of(rows: Sequence[RowResult]) -> list[str]:
    """A sentence on the files that rows left out when they were trained or measured, now or before."""
    left_out = LeftOut()
    for origin in (origin for row in rows for origin in row.origins):
        left_out = left_out.joined(read_left_out(origin.run)).joined(noted(Evaluation.load(origin.evaluation).info))
    return [f"{left_out.line}."] if left_out.line else []


def _different_clips(rows: Sequence[RowResult], folder: str | None) -> list[str]:
    """A sentence that says which rows were measured on other clips than the rest; none where all are alike."""
    sets = [(row.name, ClipSet.of(row.per_file[0], folder)) for row in rows if row.per_file]
    return [clips_remark(sets)] if are_different(sets) else []


def _common_start(drafts: Sequence[Draft]) -> str | None:
    """What all trained rows start from, as ``--init`` names it; None where they differ, or for random weights."""
    starts = {draft.start for draft in drafts if draft.jobs and draft.row.kind == "trained"}
    return starts.pop() if len(starts) == 1 else None


def _describe_start(start: str | None) -> list[str]:
    """A sentence on the training of a run that rows start from; none for a codec without one."""
    folder = RunFolder(Path(start)) if start else None
    if folder is None or not folder.config.is_file():
        return []
    config = folder.settings
    compute = Compute(folder.steps, config["data"]["batch_size"], config["data"]["seconds"])
    alone = "" if config["model"]["discriminators"] else ", without discriminators"
    return [f"{folder.path.name} was trained before the rows: {compute.text}{alone}."]


def _shortness(short: Sequence[Draft]) -> list[str]:
    """A sentence on rows that a flag trained for fewer batches than their recipe or scale would."""
    if not short:
        return []
    trained = sorted({job.steps for draft in short for job in draft.jobs})
    usual = sorted({draft.usual for draft in short if draft.usual is not None})
    spans = [f"{min(counts):,}" + (f" to {max(counts):,}" if len(counts) > 1 else "") for counts in (trained, usual)]
    return [f"Rows were trained for {spans[0]} {by_number(max(trained), 'batch', 'batches')} instead of {spans[1]}."]


def _notes(spec: TableSpec, kinds: set[str], scale: str | None, data: str | None, seeds: int) -> list[str]:
    size = f"Scale {scale or 'paper'}"
    if kinds <= {"recipe", "published"}:
        return [f"{size}; nothing was trained or measured."]
    made = "trained and measured" if "trained" in kinds else "measured"
    rate = (
        f"against originals at {spec.sample_rate / 1000:g} kHz"
        if spec.sample_rate
        else "at each codec's own sampling rate"
    )
    often = f" Means over {seeds} seeds a row." if seeds > 1 and "trained" in kinds else ""
    return [f"{size}, {made} on {corpus_title(data)}, on {_device()}; scored {rate}.{often}"]


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
