"""Shares of this machine for trainings at the same time: a GPU each, or some of the cores."""

import os
from collections.abc import MutableMapping, Sequence

import torch

from codeclab.codecs.io.workers import THREAD_VARIABLES
from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.cores import leave_cores, usable_cores


def choose_slots(n_trainings: int, devices: str | None = None, jobs: int | None = None) -> list[str | None]:
    """The GPU of each row made at the same time, or None for a share of the cores; empty for one row at a time.

    Args:
        n_trainings: number of trainings, one per row and seed.
        devices: GPUs, as a count or as numbers separated by commas; None uses the CPU, or one GPU for all rows.
        jobs: number of rows made at the same time, on each of ``devices``; None is one a core without a GPU, else one.

    Raises:
        RecipeError: there is no such GPU here.
    """
    if devices is None:
        # On a GPU, rows side by side have to be asked for: whether their memory suffices is not known.
        usual = 1 if torch.cuda.is_available() else min(usable_cores(), n_trainings)
        at_a_time = jobs or usual
        return [None] * at_a_time if at_a_time > 1 else []
    if not torch.cuda.is_available():
        raise RecipeError("--devices: there is no GPU here; --jobs N makes N rows at a time on the CPU")
    chosen = choose_devices(devices, torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return [*chosen] * (jobs or 1)


def choose_devices(requested: str, count: int, visible: str | None) -> list[str]:
    """The requested GPUs, by the names that CUDA_VISIBLE_DEVICES gives them.

    Args:
        requested: count, or numbers separated by commas.
        count: number of GPUs of the machine.
        visible: value of CUDA_VISIBLE_DEVICES, which numbers them; None where it is not set.

    Raises:
        RecipeError: there is no such GPU; the message says how many there are.
    """
    words = [word.strip() for word in requested.split(",") if word.strip()]
    if not all(word.isdigit() for word in words):
        raise RecipeError(f"--devices {requested}: give a count or numbers, as in 4 or 0,2,3 (a single one: 2,)")
    numbers = [int(word) for word in words] if "," in requested else list(range(int(requested)))
    if not numbers or max(numbers) >= count or len(set(numbers)) < len(numbers):
        there = f"there {by_number(count, 'is', 'are')} {counted(count, 'GPU')}, numbered from 0"
        raise RecipeError(f"--devices {requested}: {there}; each can be given once")
    named = visible.split(",") if visible else [str(number) for number in range(count)]
    return [named[number].strip() for number in numbers]


def choose_workers(requested: int | None, slots: Sequence[str | None]) -> int:
    """Processes for ViSQOL per row: as requested; else none if each row has one core, and two if there are two."""
    if requested is not None:
        return requested
    return 0 if None in slots or usable_cores() < 2 else 2


def threads_each(at_a_time: int) -> int:
    """Threads of each row that is made at the same time; OMP_NUM_THREADS takes precedence, if it is 1 or more."""
    value = os.environ.get(THREAD_VARIABLES[0], "")
    requested = int(value) if value.isdecimal() else 0
    return requested or max(usable_cores() // at_a_time, 1)  # OpenMP ignores a 0, too


def hold_to(threads: int, environment: MutableMapping[str, str]) -> None:
    """Make a process started with ``environment`` compute in this number of threads, whichever library it uses."""
    for variable in THREAD_VARIABLES:
        if environment.get(variable, "").strip("0") == "":
            environment[variable] = str(threads)
    leave_cores(environment)
