"""Samples of FFmpeg's frames; without torch, which the processes of a data scan do not need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FRAMES = 2**40
"""No file is longer; one that says so does not know (a FLAC written by a pipe says 2^63 - 1). libsndfile cannot seek in
it, or read it; FFmpeg can."""


def frame_samples(frame: Any) -> NDArray[np.float32]:
    """The samples of an FFmpeg frame, float32 ``[C, N]``, whatever format the codec decodes to."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    return samples.astype(np.float32)
