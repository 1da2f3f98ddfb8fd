"""A spread has the names of the peers' harness."""

from codeclab.benchmarks.speed.timed import spread


def test_median_quartiles_and_extremes() -> None:
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == {"median": 3, "min": 1, "q25": 2, "q75": 4, "max": 5, "n": 5}
    assert spread([2.0]) == {"median": 2, "min": 2, "q25": 2, "q75": 2, "max": 2, "n": 1}
