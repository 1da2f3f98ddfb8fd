"""A corpus that is gone for a while, as a mount may be, is waited for."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from codeclab.experiments.data.recording import DataError, ReadExcerpt, Recording

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = 300
"""Seconds that a corpus may be away."""

PAUSE = 1.0

logger = logging.getLogger(__name__)


def read_when_there(
    read: ReadExcerpt,
    folder: Path | None,
    recording: Recording,
    start: float,
    seconds: float,
    sample_rate: int,
    channels: int,
) -> "Tensor":
    """Reads an excerpt as ``read`` does; where the whole corpus is gone, waits for it, five minutes at most.

    Args:
        read: reads it.
        folder: the corpus'; None where its files lie in none.
        recording: of which.
        start: seconds into it.
        seconds: its length.
        sample_rate: Hz of the result.
        channels: of the result.

    Raises:
        DataError: The corpus stays away, or is there and the file cannot be read.
    """
    began = 0.0
    while True:
        try:
            return read(recording, start, seconds, sample_rate, channels)
        except (DataError, OSError):
            if folder is None or recording.path.exists() or folder.exists():
                raise
            if not began:
                began = time.monotonic()
                logger.warning("%s is gone; waiting for it, %d s at most", folder, PATIENCE)
            elif time.monotonic() - began > PATIENCE:
                raise DataError(f"{folder} is gone, and did not come back in {PATIENCE} s") from None
            time.sleep(PAUSE)
