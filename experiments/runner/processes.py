"""Jobs in processes of their own, several at a time: each with its devices, or its share of the cores."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.runner.job import Job, Outcome


def run_in_process(job: Job, wait: bool, environment: Mapping[str, str]) -> Outcome:
    """Make a job in a new process; what it says is passed on line by line.

    Args:
        job: what to make.
        wait: for another runner that is making it.
        environment: of the process, whole.
    """
    command = [sys.executable, "-m", "codeclab.experiments.runner.worker", job.dump(), *(["wait"] if wait else [])]
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
        report = process.stdout.read()
    if report:
        return Outcome(**json.loads(report))
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
    return Outcome(error=f"its process ended with {how} before the row was done")


def in_parallel(jobs: Sequence[Job], wait: bool, slots: Sequence[str | None]) -> list[Outcome]:
    """Make jobs in processes, as many at a time as there are slots.

    Args:
        jobs: what to make; the first that fits in the free slots is next.
        wait: for other runners that are making one.
        slots: of each, the GPU as CUDA_VISIBLE_DEVICES names it (more than once where jobs share it), or None for a
            share of the cores.

    Returns:
        the outcomes, in the jobs' order.
    """
    free, ended = list(slots), queue.SimpleQueue[tuple[int, list[str | None], Outcome]]()
    outcomes = {
        index: Outcome(error=f"wants {job.devices} devices, but --devices gives {len(set(slots))}")
        for index, job in enumerate(jobs)
        if _slots_for(job, slots) is None
    }
    pending = [index for index in range(len(jobs)) if index not in outcomes]

    def make(index: int, taken: list[str | None]) -> None:
        outcome = run_in_process(jobs[index], wait, _environment(taken, len(slots)))
        ended.put((index, taken, outcome))

    while len(outcomes) < len(jobs):
        for index in list(pending):
            taken = _slots_for(jobs[index], free)
            if taken is not None:
                for slot in taken:
                    free.remove(slot)
                pending.remove(index)
                threading.Thread(target=make, args=(index, taken), daemon=True).start()
        index, returned, outcomes[index] = ended.get()
        free += returned
    return [outcomes[index] for index in range(len(jobs))]


def _slots_for(job: Job, free: Sequence[str | None]) -> list[str | None] | None:
    """Slots that a job can have: on as many of the idlest GPUs as it is trained on, or one share of the cores."""
    different = sorted(dict.fromkeys(free), key=lambda slot: -free.count(slot))
    count = job.devices if different and different[0] is not None else 1
    return different[:count] if len(different) >= count else None


def _environment(taken: Sequence[str | None], at_a_time: int) -> dict[str, str]:
    """The environment of a job: its GPUs alone, and its share of the cores."""
    environment = dict(os.environ)
    devices = [device for device in taken if device is not None]
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    environment.setdefault("OMP_NUM_THREADS", str(max(usable_cores() // at_a_time, 1)))
    return environment
