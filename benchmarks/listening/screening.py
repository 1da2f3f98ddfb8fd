"""Which listeners' ratings count: EnCodec's screening afterwards."""

from dataclasses import dataclass

from pandas import DataFrame

from codeclab.benchmarks.listening.design import LOW_ANCHOR, REFERENCE

REFERENCE_BELOW, REFERENCE_SHARE = 90, 0.20
ANCHOR_ABOVE, ANCHOR_SHARE = 80, 0.50


@dataclass(frozen=True)
class Screened:
    """What became of a listener.

    Args:
        listener: Id.
        reference_below: Share of the hidden references rated below 90.
        anchor_above: Share of the low anchors rated above 80.
        reason: Why the ratings do not count; None where they do.
    """

    listener: str
    reference_below: float
    anchor_above: float
    reason: str | None


def screen(scores: DataFrame) -> list[Screened]:
    """Judges every listener.

    "We remove annotators who rate the reference recordings less than 90 in at least 20% of the cases, or rate the
    low-anchor recording above 80 more than 50% of the time" (EnCodec, section 4.3).

    Args:
        scores: As ``ratings.scores`` gives them.
    """
    return [_judge(str(listener), own) for listener, own in scores.groupby("listener", sort=False)]


def _judge(listener: str, own: DataFrame) -> Screened:
    references = own.loc[own["kind"] == REFERENCE, "score"]
    anchors = own.loc[own["kind"] == LOW_ANCHOR, "score"]
    low, high = int((references < REFERENCE_BELOW).sum()), int((anchors > ANCHOR_ABOVE).sum())
    reasons = []
    # Shares are compared as counts: 0.2 is no binary fraction.
    if low and 100 * low >= round(100 * REFERENCE_SHARE) * len(references):
        reasons.append(f"rated {low} of {len(references)} hidden references below {REFERENCE_BELOW}")
    if 100 * high > round(100 * ANCHOR_SHARE) * len(anchors):
        reasons.append(f"rated {high} of {len(anchors)} low anchors above {ANCHOR_ABOVE}")
    return Screened(listener, low / len(references), high / len(anchors), " and ".join(reasons) or None)
