"""What can be told about an audio file without decoding it all."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

EXTENSIONS = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
    | {".flac", ".wv", ".ape", ".tta", ".ogg", ".oga", ".opus", ".mp3", ".mp2"}
    | {".m4a", ".m4b", ".mp4", ".aac", ".wma", ".webm", ".mka"}
)
"""File endings taken for audio, lower case."""

SILENCE = 1e-4
"""A file or excerpt whose samples never exceed this (-80 dBFS) is called silent."""

BLOCK_FRAMES = 65536


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


def read_header(path: Path) -> Header:
    """Reads a file's header and looks whether it holds any sound.

    Decoding stops at the first block with a sample above `SILENCE`, so only silent files are decoded
    whole. libsndfile (soundfile) is asked first, FFmpeg (PyAV) for what it cannot read.

    Raises:
        OSError: If neither library can read the file.
    """
    try:
        return _soundfile_header(path)
    except (soundfile.SoundFileError, TypeError):
        try:
            return _av_header(path)
        except (av.error.FFmpegError, IndexError, ValueError) as error:
            raise OSError(f"neither libsndfile nor FFmpeg can read it ({error})") from error


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


def _av_header(path: Path) -> Header:
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


def frame_samples(frame: av.AudioFrame) -> np.ndarray:
    """The samples of an FFmpeg frame, float32 `[C, N]`, whatever format the codec decodes to."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    return samples.astype(np.float32)
