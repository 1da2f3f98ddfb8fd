"""The options of the commands that measure, as settings."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields

from codeclab.experiments.runs.measure.settings import MeasuringSettings


def measuring_settings(options: argparse.Namespace, metrics: Sequence[str]) -> MeasuringSettings:
    """The settings out of a command's options; metrics that are dropped are printed on standard error.

    Args:
        options: parsed options, of which those with names of ``MeasuringSettings`` are taken.
        metrics: names of the metrics requested.

    Raises:
        ValueError: a metric is unknown; the message lists the known ones.
    """
    # It imports torch, which --help does without.
    from codeclab.experiments.runs.measure.evaluate import choose_metrics

    chosen, notes = choose_metrics(metrics)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    names = {field.name for field in fields(MeasuringSettings)} - {"metrics"}
    return MeasuringSettings(chosen, **{name: value for name, value in vars(options).items() if name in names})
