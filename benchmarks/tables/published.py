"""A paper's figures as tables' YAML writes them: numbers, or text that begins with one."""

import re

SINGLE_SOURCE = "°"
"""Follows a figure that only the paper gives, without a second source that confirms it."""

_NUMBER = re.compile(rf"(-?\d+(?:\.\d+)?)\s*(?:{SINGLE_SOURCE}|±.*|\(.*\))*")


def published_number(figure: float | str | None) -> float | None:
    """The number that a published figure is, in its own unit; None where there is none.

    Text is one where nothing but its mark or its interval follows: "1.82°", "95.5 ± 1.6", "43.7 (40.0 to 47.5)".
    """
    if figure is None or not isinstance(figure, str):
        return figure
    match = _NUMBER.fullmatch(figure.strip())
    return float(match[1]) if match else None


def is_single_source(figure: float | str | None) -> bool:
    """Whether a figure has the mark of one that no second source confirms."""
    return isinstance(figure, str) and SINGLE_SOURCE in figure
