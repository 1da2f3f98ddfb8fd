"""Wording of messages: numbers with singular and plural nouns, durations, errors in a line, hints at similar names."""

from collections.abc import Iterable
from difflib import get_close_matches

HOUR, DAY = 3600, 24 * 3600


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number of things, such as "1 file" or "2,000 files".

    Args:
        number: number of things.
        thing: noun in the singular.
        things: noun in the plural; None appends an s.
    """
    return f"{number:,} {by_number(number, thing, things or thing + 's')}"


def by_number(number: int, one: str, several: str) -> str:
    """The singular or plural form of a word for a number: "is" or "are", "file" or "files"."""
    return one if number == 1 else several


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as "0.52 s", "3 min 05 s", "2 h 01 min" or "3 days 4 h".

    Args:
        seconds: duration in seconds, not negative.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{whole} s"
    if whole < HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * DAY:
        return f"{whole // HOUR} h {whole % HOUR // 60:02d} min"
    return f"{whole // DAY} days {whole % DAY // HOUR} h"


def first_line(error: BaseException) -> str:
    """The first line of an error's text; the name of its class where it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).strip()


def named_line(error: BaseException) -> str:
    """The class of an error and the first line of its text, such as "ValueError: no such file"."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name closest to a wrong one; empty where none is close."""
    known = list(known)
    same = [one for one in known if one.rpartition(".")[2].lower() == name.rpartition(".")[2].lower()]
    longer = [one for one in known if name and one.startswith(name)]
    ending = sorted((one for one in known if name and one.endswith(f"_{name}")), key=len)
    close = same or longer or ending or get_close_matches(name, known, n=1)
    return f" (did you mean {'--' if '.' in close[0] else ''}{close[0]}?)" if close else ""
