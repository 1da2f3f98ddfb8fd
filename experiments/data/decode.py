"""Part of an audio file as samples, by seeking."""

from pathlib import Path

import av
import numpy as np
import soundfile

from codeclab.experiments.data.formats import frame_samples
from codeclab.experiments.data.recording import DataError

PREROLL_SECONDS = 0.25


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
            samples = _decode_av(path, first, count, sample_rate)
        except (av.error.FFmpegError, IndexError, ValueError) as error:
            raise DataError(f"{path} can no longer be read: {error}") from error
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds samples that are not finite numbers")
    return samples


def _decode_soundfile(path: Path, first: int, count: int) -> np.ndarray:
    with soundfile.SoundFile(path) as file:
        file.seek(min(first, file.frames))
        return np.ascontiguousarray(file.read(count, dtype="float32", always_2d=True).T)


def _decode_av(path: Path, first: int, count: int, rate: int) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if stream.time_base is None:
            raise ValueError("its stream has no time base")
        origin = stream.start_time or 0
        # A lossy decoder needs some frames before its output is the one of a continuous decode.
        target = max(first / rate - PREROLL_SECONDS, 0.0)
        if target > 0:
            container.seek(origin + int(target / stream.time_base), stream=stream)
        out = np.zeros((stream.channels, count), dtype=np.float32)
        end = 0
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                raise ValueError("its frames carry no time stamps")
            samples = frame_samples(frame)
            time = float(frame.pts * frame.time_base - origin * stream.time_base)
            at = round(time * rate) - first
            if at >= count:
                break
            low, high = max(at, 0), min(at + samples.shape[1], count)
            if low < high:
                out[:, low:high] = samples[:, low - at : high - at]
                end = max(end, high)
    return out[:, :end]
