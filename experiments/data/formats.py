"""Audio files: their headers, and parts of them as samples; by libsndfile, and by FFmpeg what that cannot read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from codeclab.codecs.audio_file import frame_samples
from codeclab.experiments.data.recording import DataError

SILENCE = 1e-4
"""A file or excerpt whose samples never exceed this (-80 dBFS) is called silent."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    Args:
        sample_rate: Hz.
        channels: Number of channels.
        seconds: Duration in seconds.
        problem: Why the file is of no use ("empty", "silent"), or None.
    """

    sample_rate: int
    channels: int
    seconds: float
    problem: str | None = None


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


EXTENSIONS = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
    | {".flac", ".wv", ".ape", ".tta", ".ogg", ".oga", ".opus", ".mp3", ".mp2"}
    | {".m4a", ".m4b", ".mp4", ".aac", ".wma", ".webm", ".mka"}
)
"""File endings taken for audio, lower case."""

BLOCK_FRAMES = 65536


def read_header(path: Path) -> Header:
    """Reads a file's header and looks whether it holds any sound.

    Decoding stops at the first block with a sample above `SILENCE`, so only silent files are decoded
    whole. libsndfile (soundfile) is asked first, FFmpeg (PyAV) for what it cannot read.

    Raises:
        OSError: If neither library can read the file, or FFmpeg is wanted and not installed.
    """
    try:
        return _soundfile_header(path)
    except (soundfile.SoundFileError, TypeError):
        return ffmpeg_header(path)


def _soundfile_header(path: Path) -> Header:
    with soundfile.SoundFile(path) as file:
        header = Header(file.samplerate, file.channels, file.frames / file.samplerate)
        if file.frames == 0:
            return Header(file.samplerate, file.channels, 0.0, "empty")
        frames = 4096
        while len(block := file.read(frames, dtype="float32")):
            if np.abs(block).max() > SILENCE:
                return header
            frames = BLOCK_FRAMES
    return Header(header.sample_rate, header.channels, header.seconds, "silent")


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
