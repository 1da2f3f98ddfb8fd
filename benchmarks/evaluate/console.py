"""Consoles of commands: tables are as wide as the terminal, or as needed in a pipe, in any encoding."""

import codecs
import os
import sys

from rich.console import Console

PIPE_WIDTH = 1000
"""Columns of a pipe or file, which cuts nothing."""

PLAIN = {"±": "+/-", "↑": "(up)", "↓": "(down)", "—": "-", "–": "-", "…": "...", "·": ".", "×": "x", "°": "*", "²": "2"}
"""Replacements for characters that a stream's encoding lacks."""


def console() -> Console:
    """Standard output: as wide as the terminal or, in a pipe or file, so wide that no line is cut."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in wrong), error.end


def discard_closed_error() -> None:
    """Discard what goes to standard error if it is closed, as by ``2>&-``; ``print`` would add it to the output."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  for as long as the process lives


def speak_any_encoding() -> None:
    """Let standard output and error replace characters that they cannot encode, so that these end no command."""
    codecs.register_error("codeclab", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="codeclab")
