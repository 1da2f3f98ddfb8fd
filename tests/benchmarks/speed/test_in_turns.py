"""Works take turns, ratios are those of runs side by side, and lines read as they should."""

from codeclab.benchmarks.speed.in_turns import (
    HEADER,
    Timed,
    clocked_in_turns,
    in_turns,
    machine_rows,
    machine_works,
)


def test_works_take_turns_and_the_first_is_not_counted() -> None:
    order: list[str] = []
    taken = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2)
    assert order == ["a", "b"] * 3
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 2, "b": 2}


def test_a_work_may_say_itself_what_it_took() -> None:
    seconds = iter([9.0, 1.0, 2.0])
    assert clocked_in_turns({"a": lambda: next(seconds)}, repeats=2) == {"a": [1.0, 2.0]}


def test_a_ratio_is_that_of_runs_side_by_side() -> None:
    # A machine that slows down tenfold after the first turn changes both.
    line = Timed("ours", [1.0, 10.0, 10.0], amount=20.0, unit="times real time", beside=[2.0, 20.0, 30.0])
    assert line.ratio == 2.0
    assert line.median == 10.0
    assert line.row() == "| ours | 10 | 1 to 10 | 2 times real time | 2.00 |"
    assert line.row().count("|") == HEADER.splitlines()[0].count("|")
    assert Timed("alone", [1.0], 1.0, "s").row().endswith("|  |")


def test_the_machines_lines_are_of_its_own_works() -> None:
    taken = in_turns(machine_works(), repeats=1)
    lines = {line.name: line for line in machine_rows(taken)}
    assert lines.keys() == machine_works().keys()
    assert lines["matrix product, float32"].amount == 2 * 1024**3 / 1e9
    assert lines["copy of 64 MiB"].unit == "GB/s"
