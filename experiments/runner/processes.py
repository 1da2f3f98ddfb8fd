"""Jobs in processes of their own, several at a time: each with its devices, or its share of the cores."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from codeclab.codecs.wording import counted
from codeclab.experiments.runner.cores import hold_to, threads_each
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runs.stopping import Stopped, asked


class Worker:
    """A process that makes jobs, one after another; its output is passed on line by line.

    It ends with the thread that started it (``die_with_parent``), which should therefore be one that stays. Ctrl-C in
    the terminal does not reach it; its parent passes signals on.

    Args:
        environment: of the process, whole.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "codeclab.experiments.runner.worker"]
        self.process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        self._said = threading.Thread(target=self._pass_on, daemon=True)
        self._said.start()

    def _pass_on(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            print(line, end="", file=sys.stderr, flush=True)

    @property
    def alive(self) -> bool:
        """Whether it can make another job."""
        return self.process.poll() is None

    def make(self, job: Job, wait: bool) -> Outcome:
        """Make a job.

        Args:
            job: what to make.
            wait: for another runner that is making it.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it died before: there will be no answer
            print(json.dumps({"job": job.dump(), "wait": wait}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if answer:
            return Outcome(**json.loads(answer))
        status = self.process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return Outcome(error=f"its process ended with {how} before the row was done")

    def tell(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def close(self) -> None:
        """Let it end, as there are no more jobs, and read its remaining output."""
        with self.process:  # closes the pipes and waits
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self._said.join()


def run_in_process(job: Job, wait: bool, environment: Mapping[str, str]) -> Outcome:
    """Make one job in a process of its own; see ``Worker``."""
    worker = Worker(environment)
    try:
        with asked().held() as stop, stop.passed_on(worker.tell):
            outcome = worker.make(job, wait)
    finally:
        worker.close()
    if stop.number is not None:
        raise Stopped(stop.number, told=True)
    return outcome


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
    free, ended = list(slots), queue.SimpleQueue[tuple[int, list[str | None], Worker, Outcome]]()
    outcomes = {
        index: Outcome(error=f"wants {counted(job.devices, 'device')}, but --devices gives {len(set(slots))}")
        for index, job in enumerate(jobs)
        if _slots_for(job, slots) is None
    }
    pending = [index for index in range(len(jobs)) if index not in outcomes]
    idle: list[Worker] = []
    working: set[Worker] = set()

    def tell(number: int) -> None:
        for worker in [*working, *idle]:
            worker.tell(number)

    def make(index: int, taken: list[str | None], worker: Worker) -> None:
        ended.put((index, taken, worker, worker.make(jobs[index], wait)))

    with asked().held() as stop, stop.passed_on(tell):
        while len(outcomes) < len(jobs) and (working or stop.number is None):
            for index in list(pending) if stop.number is None else ():
                taken = _slots_for(jobs[index], free)
                if taken is not None:
                    for slot in taken:
                        free.remove(slot)
                    pending.remove(index)
                    worker = idle.pop() if idle else Worker(_environment(taken, len(slots)))
                    working.add(worker)
                    threading.Thread(target=make, args=(index, taken, worker), daemon=True).start()
            index, returned, worker, outcomes[index] = ended.get()
            working.discard(worker)
            free += returned
            # On the cores the next job saves seconds of imports; on a GPU a process that waits would keep its memory.
            if pending and worker.alive and returned == [None]:
                idle.append(worker)
            else:
                worker.close()
        if stop.number is not None:
            for worker in idle:
                worker.close()
            raise Stopped(stop.number, told=True)
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
    hold_to(threads_each(at_a_time), environment)
    return environment
