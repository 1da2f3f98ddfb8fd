"""``codeclab stream encode|decode|both``: raw PCM from standard input through a codec, live, to standard output."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import Silence
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container import ContainerError, chunk_unit
from codeclab.codecs.entropy.container_reader import ChunkCodes, ContainerReader
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.wording import counted
from codeclab.experiments.cli.code_files import load_codec, note_precision
from codeclab.experiments.cli.options.stream import FORMATS, make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file

READ_BYTES = 1 << 16


class Pcm:
    """Raw PCM to audio and back.

    Args:
        name: one of ``FORMATS``.
        channels: interleaved.
    """

    def __init__(self, name: str, channels: int) -> None:
        self.kind, self.channels = FORMATS[name], channels
        self._held = b""

    def audio(self, data: bytes) -> Tensor:
        """The complete samples ``[1, C, n]`` after more bytes; an incomplete sample waits for its other bytes."""
        data = self._held + data
        whole = len(data) - len(data) % (self.kind.itemsize * self.channels)
        self._held = data[whole:]
        samples: NDArray[np.float32] = np.frombuffer(data[:whole], self.kind).astype(np.float32)
        if self.kind.kind == "i":
            samples /= 32768
        return torch.from_numpy(samples.reshape(-1, self.channels).T.copy())[None]

    def bytes(self, audio: Tensor) -> bytes:
        """The bytes of audio ``[1, C, n]``; integer formats are clipped at full scale."""
        samples = audio[0].T.cpu().numpy()
        if self.kind.kind == "i":
            samples = np.rint(np.clip(samples * 32768, -32768, 32767))
        return samples.astype(self.kind).tobytes()

    def check_end(self) -> None:
        """Refuse an end within a sample.

        Raises:
            RecipeError: the input ended within a sample; the message says what was expected.
        """
        if self._held:
            raise RecipeError(
                f"the input ends {counted(len(self._held), 'byte')} into a sample of "
                f"{counted(self.channels, 'channel')} of {counted(self.kind.itemsize, 'byte')}; "
                "does it have another --format or number of channels?"
            )


def arriving(source: BinaryIO) -> Iterator[bytes]:
    """The input, each piece as soon as it arrives, until the end."""
    while data := os.read(source.fileno(), READ_BYTES):
        yield data


class Live:
    """The work of one command, with its seconds of computation and its number of output samples.

    Args:
        codec: in evaluation mode.
        options: of the command.
    """

    def __init__(self, codec: Codec, options: argparse.Namespace) -> None:
        self.codec, self.options = codec, options
        self.pcm = Pcm(options.format, codec.channels)
        self.count = codec.choose_codebooks(options.bitrate)
        self.stream = codec.stream(n_codebooks=self.count, lookahead=options.lookahead)
        fitted = None if options.language_model is None else Path(options.language_model)
        self.coders = Coders.beside(codec, options.codec, fitted)
        self.coder = self.coders.named(options.entropy)
        self.reader = ContainerReader(codec, self.coders.of_header)
        self.samples = 0

    def encode(self, source: Iterator[bytes]) -> Iterator[bytes]:
        """PCM to the bytes of a ``.clc`` file."""
        writer = ContainerWriter(self.codec, self.count, self.coder, self._chunk())
        for data in source:
            audio = self.pcm.audio(data)
            self.samples += audio.shape[-1]
            yield writer.push(self.stream.encoder.push(audio))
        self.pcm.check_end()
        yield writer.push(self.stream.encoder.flush()) + writer.finish()

    def decode(self, source: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes of a ``.clc`` file to PCM; damaged chunks become silence."""
        silence = Silence(self.codec.sample_rate)
        decoder = self.stream.decoder
        for codes in silence.watched(self._chunks(source)):
            yield self._heard(silence.over(decoder.push(codes)))
        yield self._heard(silence.over(decoder.flush()))

    def _heard(self, audio: Tensor) -> bytes:
        self.samples += audio.shape[-1]
        return self.pcm.bytes(audio)

    def both(self, source: Iterator[bytes]) -> Iterator[bytes]:
        """PCM to PCM, encoded and decoded."""
        encoder, decoder = self.stream
        for data in source:
            audio = self.pcm.audio(data)
            self.samples += audio.shape[-1]
            yield self.pcm.bytes(decoder.push(encoder.push(audio)))
        self.pcm.check_end()
        yield self.pcm.bytes(decoder.push(encoder.flush())) + self.pcm.bytes(decoder.flush())

    def _chunks(self, source: Iterator[bytes]) -> Iterator[ChunkCodes]:
        printed = 0
        for data in source:
            yield from self.reader.feed(data)
            for damage in self.reader.damage[printed:]:
                print(f"codeclab stream: damaged, {damage}", file=sys.stderr, flush=True)
            printed = len(self.reader.damage)
        yield from self.reader.finish()
        for damage in self.reader.damage[printed:]:
            print(f"codeclab stream: damaged, {damage}", file=sys.stderr, flush=True)

    def _chunk(self) -> int | None:
        """Frames or segments of a chunk."""
        seconds = self.options.chunk
        return max(1, round(seconds * self.codec.sample_rate / chunk_unit(self.codec))) if seconds else None


def run(command: str, argv: list[str]) -> int:
    """``codeclab stream``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        if options.chunk < 0:
            raise RecipeError(f"--chunk is {options.chunk:g} s; it should be at least 0")
        for file in options.imports:
            import_file(file)
        codec = load_codec(options.codec).to(options.device).eval()
        if options.precision == "bf16":
            codec.to_bf16()
        note_precision(command, options.precision, options.device)
        live = Live(codec, options)
        print(
            f"codeclab stream {options.direction}: {codec.sample_rate} Hz, {counted(codec.channels, 'channel')}, "
            f"{options.format}, {codec.bitrate_of(live.count):.4g} kbps",
            file=sys.stderr,
            flush=True,
        )
        return _pipe(live, options.direction)
    except NotStreamableError as error:
        message = str(error).replace("codec.stream(…, lookahead=True)", "--lookahead")
        print(f"codeclab stream: {message}", file=sys.stderr)
        return 2
    except ContainerError as error:
        print(f"codeclab stream: the input cannot be read: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"codeclab stream: {error}", file=sys.stderr)
        return 2


def _pipe(live: Live, direction: str) -> int:
    """Work until the input ends or the output is closed."""
    target = sys.stdout.buffer
    waited = [0.0]

    def timed() -> Iterator[bytes]:
        source = arriving(sys.stdin.buffer)
        while True:
            before = time.perf_counter()
            data = next(source, b"")
            waited[0] += time.perf_counter() - before
            if not data:
                return
            yield data

    began = time.perf_counter()
    try:
        for data in getattr(live, direction)(timed()):
            target.write(data)
            target.flush()
    except BrokenPipeError:
        # What is still buffered would raise once more when the interpreter closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    seconds, spent = live.samples / live.codec.sample_rate, time.perf_counter() - began - waited[0]
    print(f"codeclab stream {direction}: {seconds:.2f} s of audio, {spent:.2f} s of work", file=sys.stderr)
    return 0
