"""Chooses the metrics to measure, each once."""

from collections.abc import Sequence

from codeclab.benchmarks.metrics.registry import refuse_unknown
from codeclab.benchmarks.metrics.synonyms import named_as
from codeclab.experiments.runs.measure.keep_evaluation import said_of_same


def choose_metrics(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics to measure, each once; of two that are the same by definition, only the first.

    Args:
        names: names of metrics, possibly repeated.

    Returns:
        names of the metrics, and a note on each that was dropped for another.

    Raises:
        ValueError: a name is unknown; the message lists the known ones.
    """
    refuse_unknown(names)
    chosen: list[str] = []
    notes: list[str] = []
    for name in dict.fromkeys(names):
        if (same := named_as(name, chosen)) in chosen:
            notes.append(said_of_same(name, same))
        else:
            chosen.append(name)
    return chosen, notes
