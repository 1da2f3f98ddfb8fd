"""A median and how far the single runs lie from it."""

from collections.abc import Sequence
from statistics import median, quantiles


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, extremes and number of runs, by the names of the peers' harness.

    Args:
        values: one for each run, at least one.
    """
    low, _, high = quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {
        "median": median(values),
        "min": min(values),
        "q25": low,
        "q75": high,
        "max": max(values),
        "n": len(values),
    }
