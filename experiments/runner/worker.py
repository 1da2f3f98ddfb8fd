"""What submitit runs, here or on a cluster: one job, in a process of its own."""

import faulthandler
import os
import pickle
import select
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from codeclab.experiments.runs.stopping import BY_USER, PASSED_ON, REQUEUE, end_with_parent, listening

if TYPE_CHECKING:  # imports torch, which is to come after the process listens to signals and has its devices
    from codeclab.experiments.runner.job import Outcome


def work(
    job: bytes, wait: bool, visible: str | None = None, runner: int | None = None, run_code: bool = False
) -> "Outcome":
    """Make one job; any signal, however often it comes, stops it after its batch.

    Args:
        job: a pickled ``Job``, read once this process listens to signals and has its devices.
        wait: whether to wait for another runner that is making it.
        visible: CUDA_VISIBLE_DEVICES, which submitit's local executor has hidden; on a cluster it is left alone.
        runner: process on this machine with which this one ends.
        run_code: whether the Python files of runs may be executed, as the command allows it.
    """
    # Lightning would expect Slurm to have started a process for each device.
    for variable in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[variable]
    faulthandler.enable()  # a crash leaves its traceback in the log
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with listening() as stop:
        for number in (*BY_USER, REQUEUE, PASSED_ON):
            signal.signal(number, lambda *_: stop.handle(PASSED_ON))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {REQUEUE, PASSED_ON})
        if runner is not None:
            os.environ.pop("CUDA_VISIBLE_DEVICES")
            if visible is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = visible
            end_with_parent(signal.SIGKILL)
            threading.Thread(target=_end_with, args=(runner,), daemon=True).start()
        from codeclab.codecs.memory import keep_freed_memory
        from codeclab.experiments.config.own_code import code_allowed
        from codeclab.experiments.runner.perform import perform
        from codeclab.experiments.runs.process import silence_corpora
        from codeclab.experiments.runs.quiet import quiet

        quiet()
        silence_corpora()
        keep_freed_memory()
        with code_allowed(run_code):
            return perform(pickle.loads(job), wait=wait)


def _end_with(runner: int) -> None:
    """Stop this process when another one ends, by SIGKILL too; Linux only."""
    if hasattr(os, "pidfd_open"):
        with suppress(ProcessLookupError):  # it has ended already
            select.select([os.pidfd_open(runner)], [], [])
        os.kill(os.getpid(), PASSED_ON)
