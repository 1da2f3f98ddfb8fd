"""GPUs and cores for rows that are made at the same time."""

import os

import pytest
import torch

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runner.slots import choose_devices, choose_slots, choose_workers


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
