"""Part of an audio file as samples, by seeking."""

from pathlib import Path

import numpy as np
import soundfile

from codeclab.experiments.data.ffmpeg import ffmpeg_decode
from codeclab.experiments.data.recording import DataError


def decode(path: Path, sample_rate: int, first: int, count: int) -> np.ndarray:
    """Reads samples as stored, float32 `[C, <= count]`.

    Args:
        path: The audio file.
        sample_rate: Hz, the file's own.
        first: Number of the first sample.
        count: How many are wanted; fewer come where the file ends.

    Raises:
        DataError: If the file cannot be read or holds samples that are no numbers.
    """
    try:
        samples = _decode_soundfile(path, first, count)
    except soundfile.SoundFileError:
        try:
            samples = ffmpeg_decode(path, sample_rate, first, count)
        except OSError as error:
            raise DataError(f"{path} can no longer be read: {error}") from error
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds samples that are not finite numbers")
    return samples


def _decode_soundfile(path: Path, first: int, count: int) -> np.ndarray:
    with soundfile.SoundFile(path) as file:
        file.seek(min(first, file.frames))
        return np.ascontiguousarray(file.read(count, dtype="float32", always_2d=True).T)
