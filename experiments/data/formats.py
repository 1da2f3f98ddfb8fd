"""What can be told about an audio file without decoding it all."""

from pathlib import Path

import numpy as np
import soundfile

from codeclab.experiments.data.ffmpeg import ffmpeg_header
from codeclab.experiments.data.header import SILENCE, Header

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
