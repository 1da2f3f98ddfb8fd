"""GPUs and cores for rows that are made at the same time."""

import os

import pytest
import torch

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runner.slots import choose_devices, choose_slots, choose_workers, hold_to, threads_each


def test_gpus_are_counted_among_those_that_are_visible() -> None:
    assert choose_devices("2", 4, None) == ["0", "1"]
    assert choose_devices("0,3", 4, None) == ["0", "3"]
    assert choose_devices("1,", 2, "6,GPU-7") == ["GPU-7"]
    for wrong in ("5", "0,4", "1,1", "0", "all"):
        with pytest.raises(RecipeError, match=f"--devices {wrong}: "):
            choose_devices(wrong, 4, None)


def test_rows_may_share_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices, jobs, slots in (("2", None, "01"), ("2", 3, "010101"), ("1,", 2, "11")):
        assert choose_slots(1, devices, jobs) == list(slots)
    assert choose_slots(1, jobs=2) == [None, None]
    assert choose_slots(9) == []


@pytest.mark.parametrize(("cores", "n_trainings", "at_a_time"), [(2, 9, 2), (8, 3, 3), (8, 1, 0), (1, 9, 0)])
def test_without_a_gpu_there_is_a_row_for_each_core(
    cores: int, n_trainings: int, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    slots = choose_slots(n_trainings)
    assert slots == [None] * at_a_time
    assert choose_slots(n_trainings, jobs=1) == []
    assert choose_workers(None, slots) == (2 if cores > 1 and not slots else 0)
    assert choose_workers(5, slots) == 5


@pytest.mark.parametrize(("value", "threads"), [(None, 4), ("", 4), ("0", 4), ("many", 4), ("3", 3)])
def test_the_users_number_of_threads_comes_first_if_there_is_one(
    value: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads_each(2) == threads
    assert threads_each(16) == (1 if threads == 4 else 3)


def test_a_process_is_held_to_its_threads_unless_the_user_set_them() -> None:
    environment = {"OMP_NUM_THREADS": "0", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": ""}
    hold_to(2, environment)
    assert {name: value for name, value in environment.items() if name.endswith("THREADS")} == {
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "2",
        "NUMBA_NUM_THREADS": "2",
    }
