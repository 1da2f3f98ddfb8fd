"""Audio files: their headers and excerpts of their samples, read by libsndfile or, if it cannot, by FFmpeg."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from codeclab.codecs.ffmpeg_frames import MOST_FRAMES, frame_samples
from codeclab.experiments.data.recording import DataError

SILENCE = 1e-4
"""A file or excerpt whose samples never exceed this (-80 dBFS) is called silent."""

SLACK = 0.1
"""Seconds by which a decoded length may differ from a header's: lossy decoders pad, and time stamps are rounded."""

NOT_FINITE = "holds samples that are NaN or infinite"


@dataclass(frozen=True)
class AudioHeader:
    """A file's properties, from its header or its samples.

    Args:
        sample_rate: sampling rate in Hz.
        channels: number of channels.
        seconds: duration in seconds.
        problem: reason why the file cannot be used ("empty", "silent", "holds NaN …"), or None.
        peak: highest sample; 0 if not all samples were read.
        measured: whether the values come from decoding the file to its end, not from its header.
    """

    sample_rate: int
    channels: int
    seconds: float
    problem: str | None = None
    peak: float = 0.0
    measured: bool = False


def segment_seconds(header: AudioHeader, start: float, seconds: float) -> float | str:
    """The length in seconds of a segment of a file (listed as 0: all that is left), or why it cannot be used."""
    left = header.seconds - start
    wanted = seconds or left
    if wanted > left + SLACK or left <= 0:
        return f"a segment up to {start + wanted:.2f} s of a file of {header.seconds:.2f} s"
    return min(wanted, left)


PREROLL_SECONDS = 0.25


class UndecodableError(OSError):
    """The content of a file is the reason why it cannot be read, so this stays true until the file changes."""


@contextmanager
def _by_ffmpeg(path: Path) -> Iterator[tuple[Any, Any]]:
    """A file opened by FFmpeg, and its first audio stream; an OSError where it cannot, or PyAV is not installed."""
    try:
        import av
    except ModuleNotFoundError:
        raise OSError("libsndfile cannot read it; FFmpeg's reader is not installed: pip install av") from None
    try:
        with av.open(str(path)) as container:
            yield container, container.streams.audio[0]
    except DataError:
        raise
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        of_system = isinstance(error, OSError)  # a file that cannot be had just now: permissions, a mount, a disk
        wrong = f"neither libsndfile nor FFmpeg can read it ({error})"
        raise (OSError if of_system else UndecodableError)(wrong) from error


def _ffmpeg_measured(path: Path) -> AudioHeader:
    """A file's properties, decoded to its end: in some formats (AAC in ADTS) the header's length is a guess."""
    with _by_ffmpeg(path) as (container, stream):
        if not stream.rate:  # FFmpeg opens a FLAC of no bytes by its name's ending
            raise UndecodableError("neither libsndfile nor FFmpeg can read it (its sampling rate is 0)")
        return _measured(stream.rate, stream.channels, map(frame_samples, container.decode(stream)))


def _measured(sample_rate: int, channels: int, blocks: Iterable[np.ndarray]) -> AudioHeader:
    """The header of a file whose samples are given to the end, in blocks ``[C, N]``."""
    frames, peak, problem = 0, 0.0, None
    for block in blocks:
        frames += block.shape[1]
        highest = float(np.abs(block).max(initial=0.0))
        if np.isfinite(highest):
            peak = max(peak, highest)
        else:
            problem = NOT_FINITE
    if frames == 0:
        problem = "empty"
    elif problem is None and peak <= SILENCE:
        problem = "silent"
    return AudioHeader(sample_rate, channels, frames / sample_rate, problem, peak, measured=True)


def _decode_ffmpeg(path: Path, sample_rate: int, first: int, count: int) -> np.ndarray:
    with _by_ffmpeg(path) as (container, stream):
        if stream.time_base is None:
            raise ValueError("its stream has no time base")
        if stream.rate != sample_rate:
            raise RateChangedError(path, sample_rate, stream.rate)
        origin = stream.start_time or 0
        # A lossy decoder needs some frames before its output is the one of a continuous decode.
        target = max(first / sample_rate - PREROLL_SECONDS, 0.0)
        # A seek in raw AAC goes where the guessed bitrate says, seconds off.
        if target > 0 and container.format.name != "aac":
            container.seek(origin + int(target / stream.time_base), stream=stream)
        out = np.zeros((stream.channels, count), dtype=np.float32)
        end = 0
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                raise ValueError("its frames carry no time stamps")
            samples = frame_samples(frame)
            time = float(frame.pts * frame.time_base - origin * stream.time_base)
            at = round(time * sample_rate) - first
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


SIZED = frozenset({"WAV", "WAVEX", "AIFF", "AU", "W64", "RF64", "CAF", "OGG"})
"""Formats of libsndfile whose length follows from their size, or from their last page."""

NO_FILE = "not a regular file but a pipe, device or folder"

NOT_UTF8 = "its name is not UTF-8; rename it"
"""Problem of a file whose name no library opens and no manifest can hold."""


def is_utf8(name: str) -> bool:
    """Whether a name is text; on Linux it may be any bytes, which Python shows as surrogates."""
    return not any("\ud800" <= mark <= "\udfff" for mark in name)


TAIL = 4096
"""Samples at the end that are read to check whether a file is complete."""


def read_header(path: Path) -> AudioHeader:
    """A file's length, rate and channels, and whether it holds sound: by its header where that can be trusted.

    Where it cannot, the file is decoded to its end: a compressed one whose header only promises its length (MP3, AAC),
    a FLAC that does not know its own or whose end cannot be read, and samples in floating point, which may be NaN. Of
    the others, decoding stops at the first block with a sample above ``SILENCE``. libsndfile is asked first, FFmpeg
    (PyAV) for what it cannot read.

    Raises:
        OSError: neither library can read the file to its end, or FFmpeg is wanted and not installed.
    """
    return _read(path, _soundfile_header)


def measure_header(path: Path) -> AudioHeader:
    """Read like ``read_header``, but decode every file to its end."""
    return _read(path, _soundfile_measured)


def _read(path: Path, by_soundfile: Callable[[Path], AudioHeader]) -> AudioHeader:
    if os.path.exists(path) and not os.path.isfile(path):
        raise UndecodableError(NO_FILE)  # to open a pipe waits until something is written to it
    if not is_utf8(str(path)):
        raise UndecodableError(NOT_UTF8)
    try:
        return by_soundfile(path)
    except (soundfile.SoundFileError, TypeError) as error:
        try:
            return _ffmpeg_measured(path)
        except OSError as second:
            raise type(second)(f"{second}; libsndfile: {_words(error)}") from second


def _words(error: Exception) -> str:
    """The message of libsndfile, without the path, which the user gets anyway."""
    return str(error).rpartition("': ")[2].strip().removeprefix("Error : ").rstrip(".")


def _soundfile_header(path: Path) -> AudioHeader:
    with soundfile.SoundFile(path) as file:
        if file.frames == 0:
            return AudioHeader(file.samplerate, file.channels, 0.0, "empty")
        promises = file.format not in SIZED or file.subtype in ("FLOAT", "DOUBLE")
        if promises and not (file.format == "FLAC" and _has_its_end(file)):
            return _soundfile_measured(path)
        header = AudioHeader(file.samplerate, file.channels, file.frames / file.samplerate)
        frames = TAIL
        while len(block := file.read(frames, dtype="float32")):
            if np.abs(block).max() > SILENCE:
                return header
            frames = BLOCK_FRAMES
    return AudioHeader(header.sample_rate, header.channels, header.seconds, "silent")


def _has_its_end(file: soundfile.SoundFile) -> bool:
    if file.frames > MOST_FRAMES:
        return False
    try:
        file.seek(max(file.frames - TAIL, 0))
        whole = len(file.read(TAIL, dtype="float32")) == min(TAIL, file.frames)
        file.seek(0)
    except soundfile.SoundFileError:
        return False
    return whole


def _soundfile_measured(path: Path) -> AudioHeader:
    with soundfile.SoundFile(path) as file:
        if file.frames > MOST_FRAMES:
            raise soundfile.SoundFileRuntimeError("its length is unknown")
        return _measured(file.samplerate, file.channels, _blocks(file))


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block.T


class RateChangedError(DataError):
    """A file's sampling rate has changed from ``known`` Hz, which is listed, to ``sample_rate`` Hz."""

    def __init__(self, path: Path, known: int, sample_rate: int) -> None:
        super().__init__(f"{path} has {sample_rate} Hz, but is listed with {known} Hz")
        self.sample_rate = sample_rate


def decode(path: Path, sample_rate: int, first: int, count: int) -> np.ndarray:
    """Read samples as stored, float32 ``[C, <= count]``.

    Args:
        path: the audio file.
        sample_rate: the file's own sampling rate in Hz.
        first: number of the first sample.
        count: number of samples; fewer are returned at the end of the file.

    Raises:
        DataError: the file cannot be read, has another rate, or holds samples that are no numbers.
    """
    try:
        samples = _decode_soundfile(path, sample_rate, first, count)
    except soundfile.SoundFileError:
        try:
            samples = _decode_ffmpeg(path, sample_rate, first, count)
        except OSError as error:
            raise DataError(f"{path} can no longer be read: {error}") from error
    if not np.isfinite(samples).all():
        raise DataError(f"{path} {NOT_FINITE}")
    return samples


def _decode_soundfile(path: Path, sample_rate: int, first: int, count: int) -> np.ndarray:
    with soundfile.SoundFile(path) as file:
        if file.samplerate != sample_rate:
            raise RateChangedError(path, sample_rate, file.samplerate)
        if file.frames > MOST_FRAMES:
            raise soundfile.SoundFileRuntimeError("its length is unknown")
        file.seek(min(first, file.frames))
        return np.ascontiguousarray(file.read(count, dtype="float32", always_2d=True).T)
