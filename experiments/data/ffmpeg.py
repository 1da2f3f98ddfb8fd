"""Audio files that libsndfile cannot read, by FFmpeg (PyAV); imported only where there is one."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from codeclab.codecs.audio_file import frame_samples
from codeclab.experiments.data.header import SILENCE, Header

Read = TypeVar("Read")

PREROLL_SECONDS = 0.25


def ffmpeg_header(path: Path) -> Header:
    """A file's header; decoding stops at the first frame with a sample above ``SILENCE``.

    Raises:
        OSError: FFmpeg cannot read it, or PyAV is not installed.
    """
    return _told(_header, path)


def ffmpeg_decode(path: Path, sample_rate: int, first: int, count: int) -> np.ndarray:
    """Samples as stored, float32 ``[C, <= count]``, from number ``first``; ``sample_rate`` is the file's own, Hz.

    Raises:
        OSError: FFmpeg cannot read it, or PyAV is not installed.
    """
    return _told(lambda file: _decode(file, first, count, sample_rate), path)


def _told(read: Callable[[Path], Read], path: Path) -> Read:
    try:
        import av
    except ModuleNotFoundError:
        raise OSError("libsndfile cannot read it; FFmpeg's reader is not installed: pip install av") from None
    try:
        return read(path)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise OSError(f"neither libsndfile nor FFmpeg can read it ({error})") from error


def _header(path: Path) -> Header:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.channels
        silent, decoded = True, 0
        for frame in container.decode(stream):
            decoded += frame.samples
            if np.abs(frame_samples(frame)).max(initial=0.0) > SILENCE:
                silent = False
                break
        if decoded == 0:
            return Header(rate, channels, 0.0, "empty")
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / av.time_base
        else:
            raise ValueError("its duration is unknown")
    return Header(rate, channels, seconds, "silent" if silent else None)


def _decode(path: Path, first: int, count: int, rate: int) -> np.ndarray:
    import av

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
