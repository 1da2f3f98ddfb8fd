"""What a command notes by the way: once where it builds the same experiment several times."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities import rank_zero_only

PLANNED = ("codeclab.experiments.data.corpus", "codeclab.experiments.data.module")
"""Loggers of what is known of a corpus before anything is trained."""

_told: set[str] | None = None
_planned = False


@rank_zero_only
def note(text: str) -> None:
    """Say something that the user may want to know, on standard error; one process of several speaks."""
    if _planned or (_told is not None and text in _told):
        return
    if _told is not None:
        _told.add(text)
    print(f"note: {text}", file=sys.stderr)


@contextmanager
def each_note_once() -> Iterator[None]:
    """Say no note twice inside: a table's rows share flags, and each is built to be planned, timed and trained."""
    global _told
    before, _told = _told, set()
    try:
        yield
    finally:
        _told = before


def planned() -> None:
    """Say no note at all from now on, nor what a corpus holds: this process does what another has planned and told."""
    global _planned
    _planned = True
    for name in PLANNED:
        logging.getLogger(name).setLevel(logging.ERROR)
