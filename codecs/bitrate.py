"""When two bitrates are one: papers and users round them."""

import math
from collections.abc import Iterable

TOLERANCE = 0.01
"""DAC's "8 kbps" is 7.75, but its "6" and EnCodec's are what they are called within 1 %."""


def same_bitrate(first: float | None, second: float | None) -> bool:
    """Whether two bitrates in kbps are within 1 % of each other; None, which is no bitrate, is like none."""
    return first is not None and second is not None and math.isclose(first, second, rel_tol=TOLERANCE)


def is_among(bitrate: float, offered: Iterable[float]) -> bool:
    """Whether a bitrate in kbps is one of those offered."""
    return any(same_bitrate(bitrate, one) for one in offered)
