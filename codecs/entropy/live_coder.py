"""Codes raw PCM live, in pieces of any size: to the bytes of a ``.clc`` file, from them, or through the codec."""

import time
from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import Silence
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container import chunk_of
from codeclab.codecs.entropy.container_reader import ChunkCodes, ContainerReader, Damage
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.entropy.live_settings import LiveSettings
from codeclab.codecs.io.pcm import Pcm


class LiveCoder:
    """Codes one live stream; each piece of input gives the output that is complete by then.

        coder = LiveCoder(codec, LiveSettings(bitrate=6.0))
        for data in coder.encode(pieces):
            connection.send(data)

    Args:
        codec: codec in evaluation mode.
        settings: settings of the stream; None takes the defaults.
        coders: entropy coders of the codec; None takes those that need no fitted model.
        on_damage: function that is called with each damaged span as soon as it is read; None calls nothing.

    Attributes:
        n_codebooks: number of codebooks in use.
        samples: number of samples so far, of the audio that was encoded or decoded.
        waiting_seconds: time spent on waiting for input so far, seconds.

    Raises:
        NotStreamableError: the codec is not causal, and ``settings.lookahead`` is False.
        ValueError: the codec has no such bitrate or entropy coder.
    """

    def __init__(
        self,
        codec: Codec,
        settings: LiveSettings | None = None,
        coders: Coders | None = None,
        on_damage: Callable[[Damage], object] | None = None,
    ) -> None:
        self.settings = settings or LiveSettings()
        self.codec, self._on_damage = codec, on_damage
        self.n_codebooks = codec.choose_codebooks(self.settings.bitrate)
        self.samples = 0
        self.waiting_seconds = 0.0
        self._pcm = Pcm(self.settings.pcm, codec.channels)
        self._stream = codec.stream(n_codebooks=self.n_codebooks, lookahead=self.settings.lookahead)
        coders = coders or Coders(codec)
        self._coder = coders.named(self.settings.entropy)
        self._reader = ContainerReader(codec, coders.of_header)

    @property
    def seconds(self) -> float:
        """Duration of the audio so far, seconds."""
        return self.samples / self.codec.sample_rate

    @property
    def damage(self) -> list[Damage]:
        """Damaged spans so far, of a stream that is decoded."""
        return self._reader.damage

    def encode(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """PCM to the bytes of a ``.clc`` file.

        Raises:
            ValueError: the input ends within a sample.
        """
        writer = ContainerWriter(self.codec, self.n_codebooks, self._coder, self._chunk())
        for data in self._timed(source):
            yield writer.push(self._stream.encoder.push(self._audio(data)))
        self._pcm.check_end()
        yield writer.push(self._stream.encoder.flush()) + writer.finish()

    def decode(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of a ``.clc`` file to PCM; damaged chunks become silence.

        Raises:
            ContainerError: the input does not hold codes of this codec.
        """
        silence = Silence()
        decoder = self._stream.decoder
        for codes in silence.watched(self._chunks(source)):
            yield self._decoded(silence.over(decoder.push(codes)))
        yield self._decoded(silence.over(decoder.flush()))

    def both(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """PCM to PCM, encoded and decoded.

        Raises:
            ValueError: the input ends within a sample.
        """
        encoder, decoder = self._stream
        for data in self._timed(source):
            yield self._pcm.bytes(decoder.push(encoder.push(self._audio(data))))
        self._pcm.check_end()
        yield self._pcm.bytes(decoder.push(encoder.flush())) + self._pcm.bytes(decoder.flush())

    def _audio(self, data: bytes) -> Tensor:
        audio = self._pcm.audio(data)
        self.samples += audio.shape[-1]
        return audio

    def _decoded(self, audio: Tensor) -> bytes:
        self.samples += audio.shape[-1]
        return self._pcm.bytes(audio)

    def _timed(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """The input; the time until each piece arrives is counted."""
        pieces = iter(source)
        while True:
            began = time.perf_counter()
            data = next(pieces, None)
            self.waiting_seconds += time.perf_counter() - began
            if data is None:
                return
            yield data

    def _chunks(self, source: Iterable[bytes]) -> Iterator[ChunkCodes]:
        reported = 0
        for data in self._timed(source):
            yield from self._reader.feed(data)
            reported = self._report(reported)
        yield from self._reader.finish()
        self._report(reported)

    def _report(self, reported: int) -> int:
        """Pass on the damage after the first so many spans; returns the number of spans by then."""
        if self._on_damage is not None:
            for damage in self.damage[reported:]:
                self._on_damage(damage)
        return len(self.damage)

    def _chunk(self) -> int | None:
        """Frames, or segments, of a chunk; None as in a file."""
        seconds = self.settings.chunk_seconds
        return chunk_of(seconds, self.codec) if seconds else None
