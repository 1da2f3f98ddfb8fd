"""Tasks take turns, on the number of threads that was set for the block."""

import operator

import pytest
import torch

from codeclab.codecs.timing import in_threads, in_turns, median_seconds


def test_tasks_take_turns_and_the_first_is_not_counted() -> None:
    order: list[str] = []
    taken = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2)
    assert order == ["a", "b"] * 3
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 2, "b": 2}


def test_a_task_may_return_its_seconds() -> None:
    seconds = iter([9.0, 1.0, 2.0])
    assert in_turns({"a": lambda: next(seconds)}, 2, operator.call) == {"a": [1.0, 2.0]}


def test_a_median_leaves_out_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 9.0, 10.0, 11.0, 20.0, 22.0, 30.0, 33.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert median_seconds(lambda: None, repeats=3) == 2.0


def test_the_number_of_threads_is_set_back_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with in_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise ValueError("failed inside the block")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert torch.get_num_threads() == before
