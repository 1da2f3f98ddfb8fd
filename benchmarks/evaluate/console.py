"""What commands print to: tables as wide as the terminal, or as they need in a pipe; any encoding."""

import codecs
import sys

from rich.console import Console

PIPE_WIDTH = 1000
"""Columns of a pipe or file, which cuts nothing."""

PLAIN = {"±": "+/-", "↑": "(up)", "↓": "(down)", "—": "-", "–": "-", "…": "...", "·": ".", "×": "x", "°": "*", "²": "2"}
"""What a stream says that has no such characters."""


def console() -> Console:
    """Standard output: as wide as the terminal, or, where it is none, so wide that no line is cut."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in wrong), error.end


def speak_any_encoding() -> None:
    """Let standard output and error take what they can of a text: a stream that is not UTF-8 ends no command."""
    codecs.register_error("codeclab", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="codeclab")
