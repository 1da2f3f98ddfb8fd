"""Ratios are those of runs side by side, and lines read as they should."""

from codeclab.benchmarks.speed.timed import HEADER, Timed, spread


def test_a_ratio_is_that_of_runs_side_by_side() -> None:
    # A machine that slows down tenfold after the first turn changes both.
    line = Timed("ours", [1.0, 10.0, 10.0], amount=20.0, unit="times real time", beside=[2.0, 20.0, 30.0])
    assert line.ratio == 2.0
    assert line.median == 10.0
    assert line.row() == "| ours | 10 | 1 to 10 | 2 times real time | 2.00 |"
    assert line.row().count("|") == HEADER.splitlines()[0].count("|")
    assert Timed("alone", [1.0], 1.0, "s").row().endswith("|  |")


def test_a_spread_has_the_names_of_the_peers_harness() -> None:
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == {"median": 3, "min": 1, "q25": 2, "q75": 4, "max": 5, "n": 5}
    assert spread([2.0]) == {"median": 2, "min": 2, "q25": 2, "q75": 2, "max": 2, "n": 1}
