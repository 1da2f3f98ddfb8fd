"""Streaming: audio in pieces of any length to codes, and codes to audio, equal to the results for the whole file."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes, checked
from codeclab.codecs.latency import samples_ahead
from codeclab.codecs.layers.convolution import refuse_norms_over_time
from codeclab.codecs.layers.layer_stream import NotCausalError, NotStreamableError
from codeclab.codecs.layers.streaming import layer_stream
from codeclab.codecs.segments import SegmentAdder, Segments, equal_runs
from codeclab.codecs.wording import counted


def check_open(ended: bool) -> None:
    """Refuse to go on with a stream that has ended: its layers hold the state of the recording's end."""
    if ended:
        raise ValueError("the stream has ended; for another recording call codec.stream() again")


class StreamEncoder:
    """Encoder of a stream of audio in pieces, of ``batch`` recordings in parallel; see ``Codec.stream``."""

    def __init__(self, codec: Codec, n_codebooks: int, batch: int) -> None:
        self._codec = codec
        self._n_codebooks = n_codebooks
        self._batch = batch
        self._ended = False
        cut = codec.segments
        self._coder = _FrameEncoder(codec, n_codebooks) if cut is None else _SegmentEncoder(codec, cut, n_codebooks)

    @torch.no_grad()
    def push(self, audio: Tensor) -> Codes:
        """The codes that are complete with another piece of audio.

        Args:
            audio: audio ``[B, C, n]`` of any floating-point type, full scale 1, at the codec's rate; ``n`` may be 0.

        Returns:
            the new frames as one segment ``[B, K, t]``, where ``t`` may be 0; for a codec that cuts audio, the segments
            that are complete. ``length`` is ``n``.

        Raises:
            ValueError: the audio has a wrong shape or type or is not finite, or the stream has ended.
        """
        self._check(audio)
        return self._push(audio.to(next(self._codec.parameters())), last=False)

    @torch.no_grad()
    def flush(self) -> Codes:
        """The remaining codes at the end of the audio.

        Raises:
            ValueError: the stream has ended already.
        """
        check_open(self._ended)
        self._ended = True
        parameter = next(self._codec.parameters())
        return self._push(parameter.new_zeros(self._batch, self._codec.channels, 0), last=True)

    def _push(self, audio: Tensor, last: bool) -> Codes:
        segments, scales = self._coder.push(audio, last)
        codec = self._codec
        levels = scales if codec.normalize else None
        return Codes(segments, levels, audio.shape[-1], codec.sample_rate, codec.bitrate_of(self._n_codebooks))

    def _check(self, audio: Tensor) -> None:
        check_open(self._ended)
        wanted = (self._batch, self._codec.channels)
        if not isinstance(audio, Tensor) or audio.ndim != 3 or audio.shape[:2] != wanted:
            shape = list(audio.shape) if isinstance(audio, Tensor) else f"a {type(audio).__name__}"
            raise ValueError(f"a piece of audio should be a tensor [{wanted[0]}, {wanted[1]}, n]; this is {shape}")
        if not audio.is_floating_point() or not torch.isfinite(audio).all():
            raise ValueError("a piece of audio should be floating point, full scale 1, without NaN or infinite values")


class StreamDecoder:
    """Decoder of a stream of codes in pieces, of ``batch`` recordings in parallel; see ``Codec.stream``."""

    def __init__(self, codec: Codec, batch: int) -> None:
        self._codec = codec
        self._batch = batch
        self._ended = False
        self._length = 0
        self._returned = 0
        self._surplus: Tensor | None = None
        cut = codec.segments
        self._coder = _FrameDecoder(codec, batch) if cut is None else _SegmentDecoder(codec, cut, batch)

    @torch.no_grad()
    def push(self, codes: Codes) -> Tensor:
        """The audio ``[B, C, n]`` that is complete with another piece of codes; ``n`` may be 0.

        Args:
            codes: next output of the encoder.

        Raises:
            ValueError: the codes are of another codec or of another number of recordings, or the stream has ended.
        """
        check_open(self._ended)
        codes = checked(codes, self._codec)
        if any(segment.shape[0] != self._batch for segment in codes.segments):
            raise ValueError(f"the stream is of {counted(self._batch, 'recording')}; these codes are of another number")
        self._length += codes.length
        return self._cut(self._coder.push(codes))

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The remaining audio, up to exactly the length that was encoded.

        Raises:
            ValueError: the stream has ended already.
        """
        check_open(self._ended)
        self._ended = True
        rest = self._cut(self._coder.flush())
        missing, self._returned = self._length - self._returned, self._length
        return F.pad(rest, (0, missing))

    def _cut(self, audio: Tensor) -> Tensor:
        """The audio up to the encoded length; the rest is held, because the last frame may represent fewer samples."""
        audio = audio if self._surplus is None else torch.cat([self._surplus, audio], dim=-1)
        rest = max(self._length - self._returned, 0)
        self._surplus = audio[..., rest:]
        self._returned += min(rest, audio.shape[-1])
        return audio[..., :rest]


class CodecStream(NamedTuple):
    """Encoder and decoder of a stream; ``encoder, decoder = codec.stream(6.0)``."""

    encoder: StreamEncoder
    decoder: StreamDecoder


def open_stream(codec: Codec, n_codebooks: int, batch: int, lookahead: bool) -> CodecStream:
    """A new stream; see ``Codec.stream``.

    Raises:
        NotCausalError: it can only be streamed with a delay, and ``lookahead`` is False.
        NotStreamableError: the codec cannot be streamed; the message says why.
        ValueError: ``batch`` is no positive number.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}; it should be at least 1")
    if not codec.quantizer.codes_each_frame_alone:
        raise NotStreamableError(
            f"{type(codec.quantizer).__name__} draws the codes of a whole recording; use choice: argmax to stream"
        )
    if codec.segments is None:
        if codec.normalize:
            raise NotStreamableError("the codec divides by the level of the whole recording; use segments to stream")
        refuse_norms_over_time(codec)
        if not lookahead and (ahead := samples_ahead(codec)) >= codec.hop_length:
            raise NotCausalError(ahead, codec.sample_rate)
    return CodecStream(StreamEncoder(codec, n_codebooks, batch), StreamDecoder(codec, batch))


def encode_spans(
    codec: Codec, audio: Tensor, spans: Sequence[tuple[int, int]], n_codebooks: int
) -> tuple[list[Tensor], list[Tensor]]:
    """The codes ``[B, K, T]`` of some spans of audio ``[B, C, N]``, and their levels if the codec normalizes."""
    segments: list[Tensor] = []
    scales: list[Tensor] = []
    for first, last in equal_runs([end - start for start, end in spans]):
        pieces = torch.cat([audio[..., start:end] for start, end in spans[first:last]])
        codes, levels = codec.encode_pieces(pieces, n_codebooks)
        segments += codes.split(audio.shape[0])
        scales += [] if levels is None else levels.split(audio.shape[0])
    return segments, scales


def decode_segments(codec: Codec, codes: Codes) -> Iterator[Tensor]:
    """The audio ``[B, C, n]`` of each segment of codes."""
    for first, last in equal_runs([segment.shape[-1] for segment in codes.segments]):
        levels = None if codes.scales is None else torch.cat(codes.scales[first:last])
        pieces = codec.decode_pieces(torch.cat(codes.segments[first:last]), levels)
        yield from pieces.split(codes.segments[0].shape[0])


class _FrameEncoder:
    """Encoding frame by frame, for a codec without segments."""

    def __init__(self, codec: Codec, n_codebooks: int) -> None:
        self._layers = layer_stream(codec.end("encoder"))
        self._codec, self._n_codebooks = codec, n_codebooks

    def push(self, audio: Tensor, last: bool) -> tuple[list[Tensor], list[Tensor]]:
        with self._codec.networks():
            latent = self._layers.push(audio, last)
        if latent.shape[-1] == 0:
            shape = (audio.shape[0], self._n_codebooks, 0)
            return [torch.zeros(shape, dtype=torch.int64, device=audio.device)], []
        return [self._codec.quantizer.encode(latent.contiguous(), self._n_codebooks)], []


class _SegmentEncoder:
    """Encoding segment by segment, each when it is complete."""

    def __init__(self, codec: Codec, cut: Segments, n_codebooks: int) -> None:
        self._codec, self._cut, self._n_codebooks = codec, cut, n_codebooks
        self._held: Tensor | None = None

    def push(self, audio: Tensor, last: bool) -> tuple[list[Tensor], list[Tensor]]:
        held = audio if self._held is None else torch.cat([self._held, audio], dim=-1)
        spans = [span for span in self._cut.spans(held.shape[-1]) if last or span[1] - span[0] == self._cut.length]
        self._held = held[..., len(spans) * self._cut.stride :]
        return encode_spans(self._codec, held, spans, self._n_codebooks)


class _FrameDecoder:
    """Decoding frame by frame, for a codec without segments."""

    def __init__(self, codec: Codec, batch: int) -> None:
        self._layers = layer_stream(codec.end("decoder"))
        self._codec, self._batch = codec, batch

    def push(self, codes: Codes) -> Tensor:
        latents = [self._codec.quantizer.decode(segment) for segment in codes.segments if segment.shape[-1]]
        audio = [self._decoded(latent) for latent in latents]
        return torch.cat([self._nothing(self._codec.channels), *audio], dim=-1)

    def flush(self) -> Tensor:
        return self._decoded(self._nothing(self._codec.decoder.dimension), last=True)

    def _decoded(self, latent: Tensor, last: bool = False) -> Tensor:
        with self._codec.networks():
            return self._layers.push(latent, last).to(latent)

    def _nothing(self, channels: int) -> Tensor:
        return next(self._codec.parameters()).new_zeros(self._batch, channels, 0)


class _SegmentDecoder:
    """Decoding segment by segment, with their overlap-add."""

    def __init__(self, codec: Codec, cut: Segments, batch: int) -> None:
        self._nothing = next(codec.parameters()).new_zeros(batch, codec.channels, 0)
        self._codec, self._adder = codec, SegmentAdder(cut.stride, self._nothing)

    def push(self, codes: Codes) -> Tensor:
        return torch.cat([self._nothing, *map(self._adder.push, decode_segments(self._codec, codes))], dim=-1)

    def flush(self) -> Tensor:
        return self._adder.flush()
