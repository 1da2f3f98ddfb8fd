"""Warnings that a process gives once, however many runs it makes on one corpus."""

import logging
from functools import lru_cache


@lru_cache(maxsize=4096)
def warn_once(module: str, text: str) -> None:
    """Log a warning in the name of a module, unless this process has given it before."""
    logging.getLogger(module).warning(text)
