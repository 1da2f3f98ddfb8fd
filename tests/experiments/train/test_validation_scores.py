"""Scores of validation clips: those that are no numbers are left out with a warning."""

import math

import pytest

from codeclab.benchmarks.evaluate.scoring import Pending
from codeclab.experiments.train.validation import _score


@pytest.mark.parametrize("value", [-math.inf, math.nan])
def test_a_score_that_is_not_finite_is_none_and_its_clip_is_named(
    value: float, caplog: pytest.LogCaptureFixture
) -> None:
    pending = Pending()
    pending.scores["si_snr"] = value
    assert math.isnan(_score(pending, "si_snr", f"clip of {value}"))
    assert caplog.messages == [f"validation: clip of {value} has no si_snr (the score is {value})"]


def test_a_score_is_as_it_is() -> None:
    pending = Pending()
    pending.scores["si_snr"] = 3.5
    assert _score(pending, "si_snr", "clip") == 3.5
