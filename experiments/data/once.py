"""Warnings that a process gives once, however many runs it makes on one corpus."""

import logging
from functools import lru_cache

logger = logging.getLogger(__name__)


@lru_cache(maxsize=4096)
def warn_once(text: str) -> None:
    """Log a warning, unless this process has given it before."""
    logger.warning(text)
