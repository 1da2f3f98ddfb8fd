"""The machine's limits, as lines of a table and as numbers."""

import torch

from codeclab.benchmarks.speed.machine import SIDE, machine_rows, machine_tasks, measure_limits
from codeclab.codecs.timing import in_turns


def test_the_machines_lines_are_of_its_own_tasks() -> None:
    taken = in_turns(machine_tasks(), repeats=1)
    lines = {line.name: line for line in machine_rows(taken)}
    assert lines.keys() == machine_tasks().keys()
    assert lines["matrix product, float32"].amount == 2 * SIDE**3 / 1e9
    assert lines["copy of 64 MiB"].unit == "GB/s"


def test_limits_are_measured() -> None:
    limits = measure_limits(torch.device("cpu"))
    assert 1e7 < limits.flop < 1e15
    assert 1e7 < limits.bytes < 1e13
