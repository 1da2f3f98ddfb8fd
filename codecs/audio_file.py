"""Audio files, read and written sequentially in blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeclab.codecs.ffmpeg_frames import MOST_FRAMES, frame_samples
from codeclab.codecs.wording import counted

BLOCK = 1 << 16
"""Samples per channel in a block."""

LOSSLESS = {".wav", ".flac", ".aiff", ".aif", ".w64", ".rf64", ".caf", ".au"}
LOSSY = {".ogg", ".opus", ".mp3"}


class AudioFile:
    """An audio file opened for reading, by libsndfile, or by FFmpeg (PyAV) if libsndfile cannot read it.

    An example of the latter is a FLAC of unknown length, as written by a pipe or a recorder.

    Args:
        path: path of the file.

    Attributes:
        sample_rate: sample rate in Hz.
        channels: number of channels.

    Raises:
        ValueError: the file does not exist, or neither library can read it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"there is no file {path}")
        try:
            with soundfile.SoundFile(self.path) as file:
                if file.frames > MOST_FRAMES:
                    raise soundfile.SoundFileRuntimeError("its length is unknown")
                self.sample_rate, self.channels = file.samplerate, file.channels
            self._by_ffmpeg = False
        except (soundfile.SoundFileError, TypeError):
            self.sample_rate, self.channels = _ffmpeg_format(self.path)
            self._by_ffmpeg = True

    def blocks(self, samples: int = BLOCK) -> Iterator[Tensor]:
        """The samples in blocks ``[C, n]``, float32, of at most ``samples`` samples per channel.

        Raises:
            ValueError: the file cannot be read to its end, or contains values that are not finite.
        """
        try:
            for block in self._ffmpeg_blocks() if self._by_ffmpeg else self._soundfile_blocks(samples):
                if not np.isfinite(block).all():
                    raise ValueError(f"{self.path} holds samples that are NaN or infinite")
                yield torch.from_numpy(np.ascontiguousarray(block))
        except soundfile.SoundFileError as error:
            raise ValueError(f"{self.path} cannot be read to its end: {error}") from error

    def read(self) -> Tensor:
        """The whole file, float32 ``[C, N]``."""
        blocks = list(self.blocks())
        return torch.cat(blocks, dim=-1) if blocks else torch.zeros(self.channels, 0)

    def _soundfile_blocks(self, samples: int) -> Iterator[NDArray[np.float32]]:
        with soundfile.SoundFile(self.path) as file:
            while len(block := file.read(samples, dtype="float32", always_2d=True)):
                yield block.T

    def _ffmpeg_blocks(self) -> Iterator[NDArray[np.float32]]:
        import av

        try:
            with av.open(str(self.path)) as container:
                for frame in container.decode(container.streams.audio[0]):
                    yield frame_samples(frame)
        except av.error.FFmpegError as error:
            raise ValueError(f"{self.path} cannot be read to its end: {error}") from error


class AudioWriter:
    """An audio file, written block by block; 16-bit, or libsndfile's default for lossy formats.

    Samples beyond full scale are clipped.

    Args:
        path: path of the file; its suffix determines the format.
        sample_rate: sample rate in Hz.
        channels: number of channels.

    Attributes:
        written: samples per channel so far.

    Raises:
        ValueError: the suffix is not that of a format that can be written.
    """

    def __init__(self, path: Path | str, sample_rate: int, channels: int) -> None:
        check_suffix(path)
        suffix = Path(path).suffix.lower()
        self.written = 0
        settings = {"subtype": "PCM_16"} if suffix in LOSSLESS else {}
        if suffix == ".opus":
            settings = {"format": "OGG", "subtype": "OPUS"}
        try:
            self._file = soundfile.SoundFile(path, "w", sample_rate, channels, **settings)
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            raise ValueError(
                f"{path} of {sample_rate} Hz and {counted(channels, 'channel')} cannot be written: {error}"
            ) from error

    def write(self, audio: Tensor) -> None:
        """Append samples ``[C, n]``.

        Raises:
            OSError: they cannot be written, as on a full disk.
        """
        try:
            self._file.write(audio.detach().clamp(-1, 1).cpu().numpy().T)
        except soundfile.SoundFileError as error:
            raise self._failure(error) from error
        self.written += audio.shape[-1]

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except soundfile.SoundFileError as error:
            raise self._failure(error) from error

    @staticmethod
    def _failure(error: soundfile.SoundFileError) -> OSError:
        return OSError(f"the audio cannot be written; is the disk full? ({error})")


def check_suffix(path: Path | str) -> None:
    """Refuse to write audio to a file whose suffix names no format that can be written.

    Raises:
        ValueError: the suffix is another; the message lists the known ones.
    """
    if Path(path).suffix.lower() not in LOSSLESS | LOSSY:
        raise ValueError(
            f"{path} cannot be written: a file of decoded audio ends with one of "
            f"{', '.join(sorted(LOSSLESS | LOSSY))}, as in decoded.wav"
        )


def _ffmpeg_format(path: Path) -> tuple[int, int]:
    """Sampling rate and channels of a file that only FFmpeg can read."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{path} cannot be read by libsndfile, and FFmpeg's reader is not installed: pip install av"
        ) from error
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            return int(stream.rate), int(stream.channels)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise ValueError(f"{path} is not audio that libsndfile or FFmpeg can read ({error})") from error
