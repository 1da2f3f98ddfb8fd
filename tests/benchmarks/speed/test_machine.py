"""The machine's limits, as lines of a table and as numbers."""

import pytest
import torch

from codeclab.benchmarks.speed import machine
from codeclab.benchmarks.speed.arithmetic import Arithmetic
from codeclab.benchmarks.speed.machine import SIDE, SIDE_EMULATED, machine_rows, machine_tasks, measure_limits
from codeclab.codecs.timing import in_turns


def test_the_machines_lines_are_of_its_own_tasks() -> None:
    taken = in_turns(machine_tasks(), repeats=1)
    lines = {line.name: line for line in machine_rows(taken)}
    assert lines.keys() == machine_tasks().keys()
    assert lines["matrix product, float32"].amount == 2 * SIDE**3 / 1e9
    assert lines["copy of 64 MiB"].unit == "GB/s"


@pytest.mark.parametrize("is_fast", [True, False])
def test_emulated_bfloat16_is_timed_on_small_matrices(monkeypatch: pytest.MonkeyPatch, is_fast: bool) -> None:
    monkeypatch.setattr(machine, "has_fast_products", lambda kind: is_fast)
    side = SIDE if is_fast else SIDE_EMULATED
    line = next(line for line in machine_rows(dict.fromkeys(machine_tasks(), [1.0])) if "bfloat16" in line.name)
    assert (line.amount, line.unit) == (2 * side**3 / 1e9, "GFLOP/s")
    if not is_fast:
        with Arithmetic() as counted:
            machine_tasks()[line.name]()
        assert counted.flop == 2 * side**3


def test_limits_are_measured() -> None:
    limits = measure_limits(torch.device("cpu"))
    assert 1e7 < limits.flop < 1e15
    assert 1e7 < limits.bytes < 1e13
