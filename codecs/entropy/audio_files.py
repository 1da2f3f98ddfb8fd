"""Audio files to files of codes and back, in memory that does not grow with their length."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codeclab.codecs.audio_file import AudioFile, AudioWriter, check_suffix
from codeclab.codecs.audio_input import fit_channels
from codeclab.codecs.blocks import block_samples, decode_blocks, encode_blocks
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.container import ContainerError, Header
from codeclab.codecs.entropy.container_reader import ChunkCodes, ContainerReader, Damage
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.io.files import replacing
from codeclab.codecs.resample import BlockResampler

READ_BYTES = 1 << 18
"""Bytes read from a file of codes at a time, enough for several chunks, which a language model decodes in parallel."""


@dataclass(frozen=True)
class CodedFile:
    """The result of coding a file.

    Attributes:
        seconds: duration of the audio, seconds.
        kbps: bitrate of the file of codes, including its overhead.
        damage: missing spans.
    """

    seconds: float
    kbps: float
    damage: tuple[Damage, ...] = ()


def encode_file(codec: Codec, source: Path, target: Path, n_codebooks: int, coder: CodesCoder) -> CodedFile:
    """Encode an audio file to a ``.clc`` file, which is written atomically.

    Args:
        codec: codec in evaluation mode.
        source: path of an audio file of any sampling rate and number of channels, which are converted to the codec's.
        target: path of the ``.clc`` file.
        n_codebooks: number of codebooks in use.
        coder: coder from codes to bytes.

    Raises:
        ValueError: the audio cannot be read or is empty.
    """
    writer = ContainerWriter(codec, n_codebooks, coder)
    samples = 0
    with replacing(target) as temporary, temporary.open("wb") as file:
        for codes in encode_blocks(codec, audio_blocks(codec, source), n_codebooks):
            samples += codes.length
            file.write(writer.push(codes))
        file.write(writer.finish())
    seconds = samples / codec.sample_rate
    return CodedFile(seconds, writer.written * 8 / 1000 / seconds)


def decode_file(codec: Codec, source: Path, target: Path, coder_for: Callable[[Header], CodesCoder]) -> CodedFile:
    """Decode a ``.clc`` file to an audio file, which is written atomically; damaged chunks become silence.

    Args:
        codec: codec of the codes.
        source: path of the ``.clc`` file.
        target: path of the audio file; its suffix determines the format.
        coder_for: function that returns the coder for the file's header.

    Raises:
        ContainerError: the file does not hold codes of this codec, or no chunk of it is intact.
    """
    reader, silence = ContainerReader(codec, coder_for), Silence()
    with replacing_audio(target, codec) as writer:
        for audio in decode_blocks(codec, silence.watched(read_chunks(reader, source))):
            writer.write(silence.over(audio)[0])
        if not writer.written:
            raise ContainerError(f"{source} cannot be read: no chunk of it is intact")
    seconds = writer.written / codec.sample_rate
    return CodedFile(seconds, source.stat().st_size * 8 / 1000 / seconds, tuple(reader.damage))


def reconstruct_file(codec: Codec, source: Path, target: Path, n_codebooks: int) -> CodedFile:
    """Encode and decode an audio file; the result is written atomically.

    Args:
        codec: codec in evaluation mode.
        source: path of an audio file of any sampling rate and number of channels.
        target: path of the audio file; its suffix determines the format.
        n_codebooks: number of codebooks in use.

    Raises:
        ValueError: the audio cannot be read or is empty.
    """
    with replacing_audio(target, codec) as writer:
        codes = encode_blocks(codec, audio_blocks(codec, source), n_codebooks)
        for audio in decode_blocks(codec, codes):
            writer.write(audio[0])
    return CodedFile(writer.written / codec.sample_rate, codec.bitrate_of(n_codebooks))


@contextmanager
def replacing_audio(target: Path, codec: Codec) -> Iterator[AudioWriter]:
    """A writer of a codec's audio to a file that is replaced at the end of the block, as by ``replacing``.

    Args:
        target: path of the audio file; its suffix determines the format.
        codec: codec of the audio.

    Raises:
        ValueError: the suffix is not that of a format that can be written.
    """
    check_suffix(target)
    with replacing(target) as temporary:
        named = temporary.with_name(temporary.name + target.suffix)
        try:
            with AudioWriter(named, codec.sample_rate, codec.channels) as writer:
                yield writer
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)


def audio_blocks(codec: Codec, source: Path) -> Iterator[Tensor]:
    """An audio file in blocks ``[1, C, n]`` of the codec's sampling rate and channels.

    Raises:
        ValueError: the file cannot be read, or has no samples.
    """
    file = AudioFile(source)
    resampler = BlockResampler(file.sample_rate, codec.sample_rate)
    held: list[Tensor] = []
    size = block_samples(codec)
    yielded = 0
    blocks = file.blocks()
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        held.append(resampler.push(fit_channels(block, codec.channels), last=following is None))
        block = following
        while (ready := sum(part.shape[-1] for part in held)) >= size or block is None and ready:
            joined = torch.cat(held, dim=-1)
            held = [joined[:, size:]] if ready > size else []
            yielded += min(ready, size)
            yield joined[None, :, :size]
    if not yielded:
        raise ValueError(f"there is no audio in {source}")


def read_chunks(reader: ContainerReader, source: Path) -> Iterator[ChunkCodes]:
    """The chunks of a file of codes.

    Raises:
        ContainerError: the file is not one of this codec.
    """
    try:
        with source.open("rb") as file:
            while data := file.read(READ_BYTES):
                yield from reader.feed(data)
        yield from reader.finish()
    except (ValueError, OSError) as error:
        raise ContainerError(f"{source} cannot be read: {error}") from error


class Silence:
    """Replaces the audio of damaged codes by silence."""

    def __init__(self) -> None:
        self._read = 0
        self._returned = 0
        self._spans: list[tuple[int, int]] = []

    def watched(self, chunks: Iterator[ChunkCodes]) -> Iterator[Codes]:
        """The codes of chunks; their damaged spans are recorded on the way."""
        for chunk in chunks:
            if chunk.damage is not None:
                self._spans.append((self._read, self._read + chunk.codes.length))
            self._read += chunk.codes.length
            yield chunk.codes

    def over(self, audio: Tensor) -> Tensor:
        """The next audio ``[1, C, n]``, with silence in damaged spans."""
        for start, end in self._spans:
            audio[..., max(start - self._returned, 0) : max(end - self._returned, 0)] = 0
        self._returned += audio.shape[-1]
        self._spans = [span for span in self._spans if span[1] > self._returned]
        return audio
