"""What a command's process prints beside its results: notes, and lines of one process of several."""

import logging
import sys

from lightning.pytorch.utilities import rank_zero_only

PLANNED = ("codeclab.experiments.data.corpus", "codeclab.experiments.data.module")
"""Loggers for notes on a corpus before anything is trained."""


class Notes:
    """Prints notes on standard error, each only once; of several processes, one prints."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    @rank_zero_only
    def __call__(self, text: str) -> None:
        """Print one note."""
        if text not in self._printed:
            self._printed.add(text)
            print(f"note: {text}", file=sys.stderr)


@rank_zero_only
def say(text: str) -> None:
    """Print a line on standard error once, however many processes there are."""
    print(text, file=sys.stderr)


def silence_corpora() -> None:
    """Keep this process from printing notes on a corpus, which another process has printed."""
    for name in PLANNED:
        logging.getLogger(name).setLevel(logging.ERROR)
