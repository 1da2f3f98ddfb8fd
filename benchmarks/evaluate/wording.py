"""Hints at what was meant, for messages about names that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name closest to a wrong one; empty where none is close."""
    known = list(known)
    same = [one for one in known if one.rpartition(".")[2].lower() == name.rpartition(".")[2].lower()]
    longer = [one for one in known if name and one.startswith(name)]
    close = same or longer or get_close_matches(name, known, n=1)
    return f" (did you mean {'--' if '.' in close[0] else ''}{close[0]}?)" if close else ""
