"""The order of jobs that run side by side, and the time when the last one ends."""

import heapq
from collections.abc import Iterable, Sequence

from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Job


def longest_first(drafts: Sequence[Draft]) -> list[Job]:
    """All jobs of the rows, the longest first, so that short ones end last."""
    timed = [(time, job) for draft in drafts for time, job in zip(draft.times, draft.jobs, strict=True)]
    return [job for _, job in sorted(timed, key=lambda pair: -pair[0])]


def makespan(times: Iterable[float], at_a_time: int) -> float:
    """Seconds until all jobs are done, each begun, longest first, as soon as another has ended.

    Args:
        times: seconds of each job.
        at_a_time: number of jobs that run side by side.
    """
    ends = [0.0] * at_a_time
    for time in sorted(times, reverse=True):
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)
