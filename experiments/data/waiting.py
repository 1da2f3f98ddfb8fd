"""A corpus that is gone for a while, as a mount may be, is waited for."""

import logging
import os
import time
from typing import TYPE_CHECKING

from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, ReadExcerpt, Recording

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = 300
"""Seconds that a corpus may be away."""

PAUSE = 1.0

logger = logging.getLogger(__name__)


def read_when_there(
    read: ReadExcerpt,
    corpus: Corpus,
    recording: Recording,
    start: float,
    seconds: float,
    sample_rate: int,
    channels: int,
) -> "Tensor":
    """Reads an excerpt as ``read`` does; where the whole corpus is gone, waits for it, five minutes at most.

    Args:
        read: reads it.
        corpus: that it belongs to.
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
            lost = "" if os.path.exists(recording.path) else _lost(corpus)
            if not lost:
                raise
            if not began:
                began = time.monotonic()
                logger.warning("%s; waiting for it, %d s at most", lost, PATIENCE)
            elif time.monotonic() - began > PATIENCE:
                raise DataError(f"{lost}, and did not come back in {PATIENCE} s") from None
            time.sleep(PAUSE)


def _lost(corpus: Corpus) -> str:
    """What is to be said of a corpus that is gone; empty where any of its files is there, or it is of no files.

    A mount point stays behind when it is unmounted, empty, so that the folder alone says little.
    """
    if corpus.folder is None:
        return ""
    if not os.path.exists(corpus.folder):
        return f"{corpus.folder} is gone"
    if any(os.path.exists(one.path) for split in SPLITS for one in getattr(corpus, split)):
        return ""
    return f"{corpus.folder} holds none of the corpus' files any more, as a folder that is not mounted"
