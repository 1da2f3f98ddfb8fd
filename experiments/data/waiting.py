"""Waits for a corpus that is gone for a while, as a mount may be."""

import logging
import os
import time

from torch import Tensor

from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, Recording

PATIENCE = 300
"""Seconds that a corpus may be away."""

PAUSE = 1.0

logger = logging.getLogger(__name__)


def read_when_there(
    corpus: Corpus, recording: Recording, start: float, seconds: float, sample_rate: int, channels: int
) -> Tensor:
    """Read an excerpt of a corpus; if the whole corpus is gone, wait for it for at most five minutes.

    Args:
        corpus: corpus that it belongs to.
        recording: recording to read.
        start: time into the recording, in seconds.
        seconds: duration in seconds.
        sample_rate: sampling rate in Hz of the result.
        channels: number of channels of the result.

    Raises:
        DataError: the corpus does not come back, or is there and the file cannot be read.
    """
    began = 0.0
    while True:
        try:
            return corpus.read(recording, start, seconds, sample_rate, channels)
        except (DataError, OSError):
            lost = "" if os.path.exists(recording.path) else _lost(corpus)
            if not lost:
                raise
            if not began:
                began = time.monotonic()
                logger.warning("%s; waiting for it for at most %d s", lost, PATIENCE)
            elif time.monotonic() - began > PATIENCE:
                raise DataError(f"{lost}, and did not come back in {PATIENCE} s") from None
            time.sleep(PAUSE)


def _lost(corpus: Corpus) -> str:
    """A message if a corpus is gone; empty if any of its files exists, or it has no files.

    A mount point stays behind when it is unmounted, empty, so that the folder alone says little.
    """
    if corpus.folder is None:
        return ""
    if not os.path.exists(corpus.folder):
        return f"{corpus.folder} is gone"
    if any(os.path.exists(one.path) for split in SPLITS for one in getattr(corpus, split)):
        return ""
    return f"{corpus.folder} no longer holds any of the corpus' files, as if it were not mounted"
