"""Words in messages: numbers of things in the singular and the plural, and hints at what was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number of things, such as "1 file" or "2,000 files".

    Args:
        number: how many.
        thing: what one is called.
        things: what several are called, where an s does not make it.
    """
    return f"{number:,} {by_number(number, thing, things or thing + 's')}"


def by_number(number: int, one: str, several: str) -> str:
    """The form of a word for so many things: "is" or "are", "file" or "files"."""
    return one if number == 1 else several


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name closest to a wrong one; empty where none is close."""
    known = list(known)
    same = [one for one in known if one.rpartition(".")[2].lower() == name.rpartition(".")[2].lower()]
    longer = [one for one in known if name and one.startswith(name)]
    close = same or longer or get_close_matches(name, known, n=1)
    return f" (did you mean {'--' if '.' in close[0] else ''}{close[0]}?)" if close else ""
