"""The cores that rows share."""

import os

import pytest

from codeclab.experiments.runner.slots import hold_to, threads_each


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
