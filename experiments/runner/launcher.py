"""Rows as jobs of submitit: several at a time on this machine, or on a cluster.

There are three kinds of process: the command, which waits here; one of submitit for each job, which only starts the
next one and passes signals on; and the job's own, which runs ``worker.work``. The command holds no result: a job leaves
its run, its figures and their stamp in the run's folder, and an ``Outcome``, pickled, that says whether it failed. So
whichever process is killed, the same command finds what is made, by ``perform.is_made``, and makes the rest.
"""

import os
import pickle
import signal
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit
from submitit.helpers import environment_variables

from codeclab.codecs.wording import counted
from codeclab.experiments.config.own_code import code_is_allowed
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.slots import hold_to, threads_each
from codeclab.experiments.runner.worker import work
from codeclab.experiments.runs.stopping import PASSED_ON, REQUEUE, Stopped, stop_request

FOLDER = ".jobs"
"""Folder beside the runs with the logs of rows that were made on this machine, and what submitit writes."""

FOREVER = 10**7
"""Minutes that a row may take on this machine; submitit needs a limit."""


class Submitted:
    """A job that was submitted.

    Args:
        handle: submitit's job.
        slots: slots that it takes.
    """

    def __init__(self, handle: Any, slots: Sequence[str | None] = ()) -> None:
        self.handle = handle
        self.slots = slots
        self.log: Path = handle.paths.stdout
        self._position = 0

    def pass_on(self) -> None:
        """Print the lines that its log has got since the last call."""
        with suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(self._position)
            whole, newline, _ = file.read().rpartition(b"\n")
            self._position += len(whole + newline)
            print(whole.decode(errors="replace"), end=newline.decode(), file=sys.stderr, flush=True)


class Launcher(ABC):
    """Makes jobs through an executor of submitit, as many at a time as there is room for.

    Attributes:
        pause: time between two looks at the jobs, in seconds.
        lost: the error of a job that ended without an outcome.
    """

    pause: float
    lost: str

    @abstractmethod
    def submit(self, job: Job, wait: bool) -> Submitted | Outcome | None:
        """Submit a job; an outcome where it cannot be made, None where there is no room for it yet."""

    @abstractmethod
    def ended(self, running: Mapping[Job, Submitted]) -> list[Job]:
        """Return finished jobs and free their slots."""

    @abstractmethod
    def pass_signal(self, submitted: Iterable[Submitted], number: int) -> None:
        """Pass a signal on to jobs; called again and again until they have ended."""

    def __call__(self, jobs: Sequence[Job], wait: bool) -> list[Outcome]:
        """Make jobs.

        Args:
            jobs: jobs in order; the first that there is room for is next.
            wait: whether to wait for other runners that are making one.

        Returns:
            the outcomes, in the jobs' order.

        Raises:
            Stopped: a signal requested it; all jobs have ended, or go on without this command (on a cluster).
        """
        outcomes: dict[Job, Outcome] = {}
        running: dict[Job, Submitted] = {}
        with (
            stop_request().held() as stop,
            stop.passed_on(lambda number: self.pass_signal(list(running.values()), number)),
        ):
            while running or (len(outcomes) < len(jobs) and stop.number is None):
                for job in jobs:
                    if stop.number is None and job not in running and job not in outcomes:
                        started = self.submit(job, wait)
                        if isinstance(started, Outcome):
                            outcomes[job] = started
                        elif started is not None:
                            running[job] = started
                ended = self.ended(running)
                for submitted in running.values():
                    submitted.pass_on()
                for job in ended:
                    outcomes[job] = self.collect(job, running.pop(job))
                if stop.number is not None:  # to one that was just being submitted, it was not passed on
                    self.pass_signal(list(running.values()), PASSED_ON)
                if running:
                    time.sleep(self.pause)
            if stop.number is not None:
                raise Stopped(stop.number, reported=True)
        return [outcomes[job] for job in jobs]

    def collect(self, job: Job, submitted: Submitted) -> Outcome:
        """The outcome of a job that has ended."""
        handle = submitted.handle
        if not handle.paths.result_pickle.exists():
            if stop_request().number is None:
                print(f"{job.title}: {self.lost}; its log: {submitted.log}", file=sys.stderr)
            return Outcome(error=self.lost)
        error = handle.exception()
        return handle.result() if error is None else Outcome(error=str(error).strip().splitlines()[-1])


class LocalLauncher(Launcher):
    """Makes jobs in processes of this machine, each with its devices or its share of the cores; they end with this one.

    Args:
        runs: the folder of runs; logs are beside them.
        slots: one for each job that is made at the same time: the GPU as CUDA_VISIBLE_DEVICES names it (more than once
            where jobs share it), or None for a share of the cores.
    """

    pause = 0.2
    lost = "its process ended before the row was done (a crash, out of memory, or killed)"

    def __init__(self, runs: Path, slots: Sequence[str | None]) -> None:
        self.folder = runs.resolve() / FOLDER
        self.slots = slots
        self.free = list(slots)

    def submit(self, job: Job, wait: bool) -> Submitted | Outcome | None:
        """Start a job once there are slots for it."""
        if slots_for(job, self.slots) is None:
            devices = counted(job.devices, "device")
            return Outcome(
                error=f"the row needs {devices}; --devices lists {len(set(self.slots))}. Use --devices {job.devices}"
            )
        taken = slots_for(job, self.free)
        if taken is None:
            return None
        environment = ChainMap({"SUBMITIT_LOG_LEVEL": "CRITICAL"}, os.environ)
        hold_to(threads_each(len(self.slots)), environment)
        visible = ",".join(slot for slot in taken if slot is not None) or os.environ.get("CUDA_VISIBLE_DEVICES")
        self.folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(tempfile.mkdtemp(prefix=f"{job.name}.", dir=self.folder), cluster="local")
        executor.update_parameters(timeout_min=FOREVER, stderr_to_stdout=True)
        # They would end the process that submitit puts between this one and the job's. Children inherit the block;
        # the job's process ends it when it listens.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, REQUEUE, PASSED_ON})
        try:
            # The job goes as bytes: reading it imports torch, which ``work`` does once the devices are set.
            with environment_variables(**environment.maps[0]):
                handle = executor.submit(work, pickle.dumps(job), wait, visible, os.getpid(), code_is_allowed())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for slot in taken:
            self.free.remove(slot)
        return Submitted(handle, taken)

    def ended(self, running: Mapping[Job, Submitted]) -> list[Job]:
        """Return jobs whose processes have ended, and free their slots."""
        ended = [job for job, submitted in running.items() if submitted.handle.done()]
        self.free += [slot for job in ended for slot in running[job].slots]
        return ended

    def pass_signal(self, submitted: Iterable[Submitted], number: int) -> None:
        """Signal submitit's processes, which pass SIGTERM on to the jobs' and, killed, take them along."""
        for one in submitted:
            with suppress(ProcessLookupError):
                os.kill(int(one.handle.job_id), signal.SIGTERM if number == PASSED_ON else number)


def slots_for(job: Job, free: Sequence[str | None]) -> list[str | None] | None:
    """Slots that a job can have: on as many of the idlest GPUs as it is trained on, or one share of the cores."""
    different = sorted(dict.fromkeys(free), key=lambda slot: -free.count(slot))
    count = job.devices if different and different[0] is not None else 1
    return different[:count] if len(different) >= count else None
