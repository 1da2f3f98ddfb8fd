"""The plan of a table: the order of its jobs, and what is printed before it begins: rows, batches, time, disk."""

import heapq
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from codeclab.codecs.wording import counted, duration
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.fit_language_model import has_language_model
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.slots import threads_each
from codeclab.experiments.runs.disk import free_bytes

ENDINGS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


def describe_plan(drafts: Sequence[Draft], runs: Path, slots: Sequence[str | None], elsewhere: bool) -> str:
    """A line for each row, then time and disk.

    Args:
        drafts: drafts of the rows.
        runs: the folder of runs.
        slots: slot of each row made at the same time: its GPU, or None for a share of the cores; empty for one row.
        elsewhere: rows run on other machines, where nothing was timed.
    """
    at_a_time = max(len(slots), 1)
    width = max(len(draft.row.name) for draft in drafts)
    lines = [f"  {draft.row.name:<{width}}  {_row_plan(draft)}" for draft in drafts]
    times = [time for draft in drafts for time in draft.times if time > 0]
    if times:
        # Rows that share a GPU fill each other's gaps, which is not known before: they are counted one after another.
        abreast = len(set(slots)) if any(slots) else at_a_time
        most = makespan(times, abreast)
        device_name = torch.cuda.get_device_name() if torch.cuda.is_available() else "this machine's CPU"
        spread = f", {at_a_time} rows at a time" if at_a_time > 1 else ""
        spread += f" in {counted(threads_each(at_a_time), 'thread')} each" if None in slots else ""
        bound = "about" if abreast == at_a_time else "at most about"
        lines.append(
            f"  training takes {bound} {duration(most)} on {device_name}{spread}; measuring takes additional time"
        )
    elif elsewhere and any(any(draft.left) for draft in drafts):
        lines.append("  not timed here: rows run on the cluster")
    new = [draft.size for draft in drafts for job in draft.jobs if job.steps and not job.folder.last.is_file()]
    # A checkpoint is written beside the one it replaces.
    needed = sum(new) + at_a_time * max(new, default=0) // 2
    if needed:
        free = free_bytes(runs)
        lines.append(
            f"  disk: about {_bytes(needed)} needed, {_bytes(free)} free"
            + (": NOT ENOUGH, rows will fail when it is full" if needed > free else "")
        )
    return "\n".join(lines)


def _row_plan(draft: Draft) -> str:
    if draft.error:
        return f"cannot be made: {draft.error}"
    if draft.row.kind != "trained":
        return {"published": "the paper's figures only", "recipe": "computed"}.get(draft.row.kind, "measured only")
    total, left = sum(job.steps for job in draft.jobs), sum(draft.left)
    seeds = f"{len(draft.jobs)} seeds, " if len(draft.jobs) > 1 else ""
    recipe = draft.jobs[0].language_model
    model = f", then a language model of {counted(recipe.steps, 'batch', 'batches')}" if recipe else ""
    if not left:
        return f"{seeds}trained" + ("" if all(map(has_language_model, draft.jobs)) else model)
    share = f"{left:,} of " * (left < total) + counted(total, "batch", "batches")
    time = "" if draft.seconds is None else f", about {duration(left * draft.seconds)}"
    return f"{seeds}{share}{time}{model}"


def _bytes(size: int) -> str:
    for unit, name in ENDINGS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 2**10:.0f} KiB"


def longest_first(drafts: Sequence[Draft]) -> list[Job]:
    """All jobs of the rows, the longest first, so that short ones end last."""
    timed = [(time, job) for draft in drafts for time, job in zip(draft.times, draft.jobs, strict=True)]
    return [job for _, job in sorted(timed, key=lambda pair: -pair[0])]


def makespan(times: Iterable[float], at_a_time: int) -> float:
    """Seconds until all jobs are done, each begun, longest first, as soon as another has ended."""
    ends = [0.0] * at_a_time
    for time in sorted(times, reverse=True):
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)
