"""Rows as jobs of a Slurm cluster, through submitit."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.config.recipes import RecipeError
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.processes import run_in_process
from codeclab.experiments.runs.lock import RunLock

FOLDER = ".slurm"
"""Folder beside the runs that keeps what was submitted, its logs, and the number of each run's job."""

GENERAL = ("timeout_min", "mem_gb", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "name")
"""What submitit asks of any cluster; everything else is Slurm's own, as in ``partition``."""

PAUSE = 2.0
"""Seconds between two looks for results; Slurm itself is asked every tenth time."""


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as submitit's parameters.

    Raises:
        RecipeError: a word without ``=``.
    """
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise RecipeError(f"--slurm {word}: give KEY=VALUE, as in partition=gpu timeout_min=720")
        settings[key if key in GENERAL else f"slurm_{key}"] = yaml.safe_load(value)
    return settings


def work(job: Job) -> Outcome:
    """What runs on the cluster: the job in a process that does not know of Slurm, or Lightning would act on it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return run_in_process(job, False, environment)


class SlurmLauncher:
    """Submits jobs and waits for them; those an earlier command submitted are waited for and not submitted again.

    Args:
        runs: the folder of runs, on a file system that the cluster shares.
        words: what Slurm is asked for, as ``KEY=VALUE``.

    Raises:
        RecipeError: submitit or Slurm is not installed, or submitit does not know what is asked for.
    """

    def __init__(self, runs: Path, words: Sequence[str]) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise RecipeError("--launcher slurm needs submitit: pip install 'codeclab[slurm]'")
        self.folder = (runs / FOLDER).resolve()
        self.settings = read_settings(words)
        try:
            self._executor({})
        except (RuntimeError, NameError, TypeError, AssertionError) as error:
            raise RecipeError(f"--launcher slurm: {str(error).splitlines()[0]}") from error

    def __call__(self, jobs: Sequence[Job], wait: bool) -> list[Outcome]:
        """Make jobs on the cluster; ``wait`` waits here for other runners, so that no node idles."""
        if wait:
            for job in jobs:
                with RunLock(job.folder.path.parent, job.name) as lock:
                    lock.acquire(wait=True)
        submitted = [self._submitted(job) or self._submit(job) for job in jobs]
        outcomes: dict[int, Outcome] = {}
        looks = 0
        while len(outcomes) < len(jobs):
            looks += 1
            asks = looks % 10 == 0
            queued = self._queued() if asks else None
            for index, (job, sent) in enumerate(zip(jobs, submitted, strict=True)):
                if index in outcomes:
                    continue
                if sent.paths.result_pickle.exists():
                    outcomes[index] = self._result(job, sent)
                elif queued is not None and sent.job_id not in queued:
                    outcomes[index] = self._lost(job, sent)
            if len(outcomes) < len(jobs):
                time.sleep(PAUSE)
        return [outcomes[index] for index in range(len(jobs))]

    def _executor(self, defaults: dict[str, Any]) -> Any:
        """What submits; ``defaults`` are asked for where the user asks for nothing else."""
        import submitit

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # submitit looks for plugins
            executor = submitit.AutoExecutor(folder=self.folder / "%j", cluster="slurm")
            executor.update_parameters(**defaults | self.settings)
        return executor

    def _number(self, job: Job) -> Path:
        return self.folder / f"{job.name}.{job.evaluation.name}.json"

    def _submit(self, job: Job) -> Any:
        gpus = {"gpus_per_node": job.devices} if job.devices > 1 else {}
        sent = self._executor({"name": job.name, **gpus}).submit(work, job)
        write_atomically(self._number(job), json.dumps({"job": sent.job_id}))
        print(f"{job.title}: submitted as job {sent.job_id}; its log: {sent.paths.stderr}", file=sys.stderr)
        return sent

    def _submitted(self, job: Job) -> Any | None:
        """The job that an earlier command submitted, where it is still in the queue."""
        if not self._number(job).is_file():
            return None
        number = str(json.loads(self._number(job).read_text())["job"])
        queued = self._queued()
        if queued is None or number not in queued:
            return None
        print(f"{job.title}: already submitted as job {number}", file=sys.stderr)
        import submitit

        return submitit.SlurmJob(self.folder / "%j", number)

    def _queued(self) -> set[str] | None:
        """Numbers of the jobs that wait or run; None where Slurm does not answer."""
        listing = subprocess.run(["squeue", "--noheader", "--format=%A"], capture_output=True, text=True, check=False)
        return set(listing.stdout.split()) if listing.returncode == 0 else None

    def _result(self, job: Job, sent: Any) -> Outcome:
        self._number(job).unlink(missing_ok=True)
        error = sent.exception()
        if error is not None:
            return Outcome(error=str(error).strip().splitlines()[-1])
        outcome: Outcome = sent.result()
        print(f"{job.title}: {outcome.error or ('busy' if outcome.busy else 'done')}", file=sys.stderr)
        return outcome

    def _lost(self, job: Job, sent: Any) -> Outcome:
        """A job that left the queue without a result: ended by Slurm, or its result is on its way."""
        time.sleep(PAUSE)
        if sent.paths.result_pickle.exists():
            return self._result(job, sent)
        self._number(job).unlink(missing_ok=True)
        message = f"Slurm ended job {sent.job_id} before the row was done (time, memory, or scancel)"
        print(f"{job.title}: {message}; its log: {sent.paths.stderr}", file=sys.stderr)
        return Outcome(error=message)
