"""Audio files to files of codes and back, with memory that does not grow with their length."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codeclab.codecs.audio_file import AudioFile, AudioWriter
from codeclab.codecs.audio_input import fit_channels
from codeclab.codecs.blocks import block_samples, decode_blocks, encode_blocks
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.container import ContainerError, Header
from codeclab.codecs.entropy.container_reader import ContainerReader, Damage, Piece
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.io.files import replacing
from codeclab.codecs.resample import BlockResampler

READ_BYTES = 1 << 18
"""Of a file of codes; enough for several chunks, which a language model decodes faster side by side."""


@dataclass(frozen=True)
class Coded:
    """What became of a file.

    Attributes:
        seconds: of audio.
        kbps: of the file of codes, all its bytes counted.
        damage: what was missing of it.
    """

    seconds: float
    kbps: float
    damage: tuple[Damage, ...] = ()


def encode_file(codec: Codec, source: Path, target: Path, n_codebooks: int, coder: CodesCoder) -> Coded:
    """An audio file to a ``.clc`` file, written whole or not at all.

    Args:
        codec: in evaluation mode.
        source: audio of any sampling rate and number of channels; it is resampled, mixed or repeated to the codec's.
        target: of the codes.
        n_codebooks: used.
        coder: from codes to bytes.

    Raises:
        ValueError: the audio cannot be read, or has none.
    """
    writer = ContainerWriter(codec, n_codebooks, coder)
    samples = 0
    with replacing(target) as temporary, temporary.open("wb") as file:
        for codes in encode_blocks(codec, audio_blocks(codec, source), n_codebooks):
            samples += codes.length
            file.write(writer.push(codes))
        file.write(writer.finish())
    seconds = samples / codec.sample_rate
    return Coded(seconds, writer.written * 8 / 1000 / seconds)


def decode_file(codec: Codec, source: Path, target: Path, coder_for: Callable[[Header], CodesCoder]) -> Coded:
    """A ``.clc`` file to an audio file, written whole or not at all; where chunks are damaged it is silent.

    Args:
        codec: whose codes they are.
        source: of the codes.
        target: audio, in the format that its suffix says.
        coder_for: gives the coder that the file asks for.

    Raises:
        ContainerError: no file of this codec's codes, or nothing of it is whole.
    """
    reader = ContainerReader(codec, coder_for)
    samples = 0
    with replacing(target) as temporary, ExitStack() as stack:
        named = temporary.with_name(temporary.name + target.suffix)
        stack.callback(named.unlink, missing_ok=True)
        with AudioWriter(named, codec.sample_rate, codec.channels) as writer:
            for audio in decoded_pieces(codec, read_pieces(reader, source)):
                writer.write(audio[0])
                samples += audio.shape[-1]
        if not samples:
            raise ContainerError(f"{source} cannot be read: no chunk of it is whole")
        named.replace(temporary)
    seconds = samples / codec.sample_rate
    return Coded(seconds, source.stat().st_size * 8 / 1000 / seconds, tuple(reader.damage))


def reconstruct_file(codec: Codec, source: Path, target: Path, n_codebooks: int) -> Coded:
    """An audio file as a listener would get it: through the codec, written whole or not at all.

    Args:
        codec: in evaluation mode.
        source: audio of any sampling rate and number of channels.
        target: audio, in the format that its suffix says.
        n_codebooks: used.

    Raises:
        ValueError: the audio cannot be read, or has none.
    """
    samples = 0
    with replacing(target) as temporary, ExitStack() as stack:
        named = temporary.with_name(temporary.name + target.suffix)
        stack.callback(named.unlink, missing_ok=True)
        with AudioWriter(named, codec.sample_rate, codec.channels) as writer:
            codes = encode_blocks(codec, audio_blocks(codec, source), n_codebooks)
            for audio in decode_blocks(codec, codes):
                writer.write(audio[0])
                samples += audio.shape[-1]
        named.replace(temporary)
    return Coded(samples / codec.sample_rate, codec.bitrate_of(n_codebooks))


def audio_blocks(codec: Codec, source: Path) -> Iterator[Tensor]:
    """An audio file in blocks ``[1, C, n]`` of the codec's rate and channels.

    Raises:
        ValueError: it cannot be read, or has no samples.
    """
    file = AudioFile(source)
    resampler = BlockResampler(file.sample_rate, codec.sample_rate)
    held: list[Tensor] = []
    wanted = block_samples(codec)
    given = 0
    blocks = file.blocks()
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        held.append(resampler.push(fit_channels(block, codec.channels), last=following is None))
        block = following
        while (ready := sum(part.shape[-1] for part in held)) >= wanted or block is None and ready:
            joined = torch.cat(held, dim=-1)
            held = [joined[:, wanted:]] if ready > wanted else []
            given += min(ready, wanted)
            yield joined[None, :, :wanted]
    if not given:
        raise ValueError(f"there is no audio in {source}")


def read_pieces(reader: ContainerReader, source: Path) -> Iterator[Piece]:
    """The pieces of a file of codes.

    Raises:
        ContainerError: it is none of this codec's.
    """
    try:
        with source.open("rb") as file:
            while data := file.read(READ_BYTES):
                yield from reader.feed(data)
        yield from reader.finish()
    except (ValueError, OSError) as error:
        raise ContainerError(f"{source} cannot be read: {error}") from error


def decoded_pieces(codec: Codec, pieces: Iterator[Piece]) -> Iterator[Tensor]:
    """The audio ``[1, C, n]`` of a file's pieces, silent where they are damaged."""
    silence = Silence(codec.sample_rate)
    for audio in decode_blocks(codec, silence.watched(pieces)):
        yield silence.over(audio)


class Silence:
    """Puts silence where codes are damaged.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._told = 0
        self._given = 0
        self._spans: list[tuple[int, int]] = []

    def watched(self, pieces: Iterator[Piece]) -> Iterator[Codes]:
        """The codes of pieces, whose damage is taken note of as they pass."""
        for piece in pieces:
            if piece.damage is not None:
                self._spans.append((self._told, self._told + piece.codes.length))
            self._told += piece.codes.length
            yield piece.codes

    def over(self, audio: Tensor) -> Tensor:
        """The next audio ``[1, C, n]``."""
        for start, end in self._spans:
            audio[..., max(start - self._given, 0) : max(end - self._given, 0)] = 0
        self._given += audio.shape[-1]
        self._spans = [span for span in self._spans if span[1] > self._given]
        return audio
