"""Rows as jobs of a Slurm cluster."""

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit
import yaml
from submitit.helpers import environment_variables

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import first_line
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import code_is_allowed
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.launcher import Launcher, Submitted
from codeclab.experiments.runner.worker import work
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.stopping import Stopped, stop_request

FOLDER = ".slurm"
"""Folder beside the runs that keeps what was submitted, its logs, and the number of each run's job."""

GENERAL = ("timeout_min", "mem_gb", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node", "name")
"""What submitit asks of any cluster; everything else is Slurm's own, as in ``partition``."""

BETWEEN_QUERIES = 20.0
"""Seconds between two questions to Slurm; results are looked for more often."""


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


class SlurmLauncher(Launcher):
    """Submits jobs and waits for them; those an earlier command submitted are waited for and not submitted again.

    Args:
        runs: the folder of runs, on a file system that the cluster shares.
        words: options requested of Slurm, as ``KEY=VALUE``.

    Raises:
        RecipeError: Slurm is not installed, or submitit does not know what is requested.
    """

    pause = 2.0
    lost = "Slurm ended its job before the row was done (time, memory, or scancel)"

    def __init__(self, runs: Path, words: Sequence[str]) -> None:
        self.folder = (runs / FOLDER).resolve()
        self.settings = read_settings(words)
        self._queried = time.monotonic()
        try:
            self._executor({})
        except (RuntimeError, NameError, TypeError, AssertionError) as error:
            raise RecipeError(f"--launcher slurm: {first_line(error)}") from error

    def submit(self, job: Job, wait: bool) -> Submitted:
        """Submit a job, or find it in the queue; ``wait`` waits here for other runners, so that no node idles."""
        if wait:
            with RunLock(job.folder.path.parent, job.name) as lock:
                lock.acquire(wait=True)
        number = self._number(job)
        if number.is_file() and (known := str(json.loads(number.read_text())["job"])) in (self._queued() or ()):
            print(f"{job.title}: already submitted as job {known}", file=sys.stderr)
            return Submitted(submitit.SlurmJob(self.folder / "%j", known))
        gpus = {"gpus_per_node": job.devices} if job.devices > 1 else {}
        with environment_variables(SUBMITIT_LOG_LEVEL="CRITICAL"):
            executor = self._executor({"name": job.name, **gpus})
            submitted = Submitted(executor.submit(work, pickle.dumps(job), False, run_code=code_is_allowed()))
        write_atomically(number, json.dumps({"job": submitted.handle.job_id}))
        print(f"{job.title}: submitted as job {submitted.handle.job_id}; its log: {submitted.log}", file=sys.stderr)
        return submitted

    def ended(self, running: Mapping[Job, Submitted]) -> list[Job]:
        """Return jobs that left a result, or left the queue without one."""
        ended = [job for job, one in running.items() if one.handle.paths.result_pickle.exists()]
        if time.monotonic() - self._queried > BETWEEN_QUERIES and (queued := self._queued()) is not None:
            gone = [job for job, one in running.items() if job not in ended and one.handle.job_id not in queued]
            time.sleep(self.pause if gone else 0)  # a result may be on its way
            ended += gone
        for job in ended:
            self._number(job).unlink(missing_ok=True)
        return ended

    def pass_signal(self, submitted: Iterable[Submitted], number: int) -> None:
        """Leave the jobs on the cluster alone, where the same command finds them.

        Raises:
            Stopped: this command ends.
        """
        raise Stopped(stop_request().number or number, reported=True)

    def _executor(self, defaults: dict[str, Any]) -> Any:
        """What submits; ``defaults`` are requested where the user requests nothing else."""
        executor = submitit.AutoExecutor(folder=self.folder / "%j", cluster="slurm")
        executor.update_parameters(**{"stderr_to_stdout": True} | defaults | self.settings)
        return executor

    def _number(self, job: Job) -> Path:
        return self.folder / f"{job.name}.{job.evaluation.name}.json"

    def _queued(self) -> set[str] | None:
        """Numbers of the jobs that wait or run; None where Slurm does not answer."""
        self._queried = time.monotonic()
        listing = subprocess.run(["squeue", "--noheader", "--format=%A"], capture_output=True, text=True, check=False)
        return set(listing.stdout.split()) if listing.returncode == 0 else None
