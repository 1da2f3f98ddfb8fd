"""Screening of listeners: the rules of the papers and of the recommendation."""

import math
from dataclasses import dataclass

from pandas import DataFrame

from codeclab.benchmarks.listening.design import LOW_ANCHOR, REFERENCE


@dataclass(frozen=True)
class Screening:
    """A rule by which listeners are left out.

    Args:
        name: name in the notes.
        reference_below: a hidden reference rated below this counts against a listener; None counts nothing.
        reference_percent: share of a listener's references that may be.
        inclusive: whether a listener with exactly that share is left out.
        anchor_above: a low anchor rated above this counts against a listener; None counts nothing.
        anchor_percent: share of a listener's anchors that may be.
    """

    name: str
    reference_below: float | None = None
    reference_percent: int = 0
    inclusive: bool = False
    anchor_above: float | None = None
    anchor_percent: int = 0


SCREENINGS = {
    "encodec": Screening("EnCodec's screening (section 4.3)", 90, 20, True, 80, 50),
    "dac": Screening("no screening, as in Improved RVQGAN (section 4.4), whose ten listeners were experts"),
    "bs1534": Screening("the screening of ITU-R BS.1534", 90, 15),
}
"""By name. EnCodec: "we remove annotators who rate the reference recordings less than 90 in at least 20% of the cases,
or rate the low-anchor recording above 80 more than 50% of the time"; of a test without that anchor the first half is
left. BS.1534-3, section 4.1.2: not who rates the hidden reference below 90 for more than 15 % of the items."""


@dataclass(frozen=True)
class Screened:
    """The result of a listener's screening.

    Args:
        listener: id of the listener.
        reference_below: share of the hidden references rated below the screening's limit.
        anchor_above: share of the low anchors rated above it; NaN where there were none.
        reason: reason why the ratings do not count; None where they do.
    """

    listener: str
    reference_below: float
    anchor_above: float
    reason: str | None


def screen(scores: DataFrame, screening: Screening = SCREENINGS["encodec"]) -> list[Screened]:
    """Screen every listener.

    Args:
        scores: scores of the listeners, as ``ratings.scores`` gives them.
        screening: rule by which listeners are excluded.
    """
    return [_judge(str(listener), own, screening) for listener, own in scores.groupby("listener", sort=False)]


def _judge(listener: str, own: DataFrame, rule: Screening) -> Screened:
    references = own.loc[own["kind"] == REFERENCE, "score"]
    anchors = own.loc[own["kind"] == LOW_ANCHOR, "score"]
    reasons = []
    low = high = 0
    if rule.reference_below is not None:
        low = int((references < rule.reference_below).sum())
        # Shares are compared as counts: 0.2 is no binary fraction.
        excess = 100 * low - rule.reference_percent * len(references)
        if low and (excess > 0 or (excess == 0 and rule.inclusive)):
            reasons.append(f"rated {low} of {len(references)} hidden references below {rule.reference_below:g}")
    if rule.anchor_above is not None:
        high = int((anchors > rule.anchor_above).sum())
        if 100 * high > rule.anchor_percent * len(anchors):
            reasons.append(f"rated {high} of {len(anchors)} low anchors above {rule.anchor_above:g}")
    shares = (low / len(references) if len(references) else math.nan, high / len(anchors) if len(anchors) else math.nan)
    return Screened(listener, *shares, " and ".join(reasons) or None)
