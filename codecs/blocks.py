"""Long recordings in blocks: coded by a stream, so that memory does not grow, and alike from a file and in one call.

Sums of floating-point numbers depend on how long the audio is that a layer gets at once. Here that is decided by the
recording alone: one of up to ``BLOCK_SECONDS`` is coded whole, a longer one in blocks of that length from its start.
"""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.layers.streaming import NotStreamableError
from codeclab.codecs.streaming import CodecStream

BLOCK_SECONDS = 4.0
"""Audio that is coded at once."""


def block_samples(codec: Codec) -> int:
    """Samples of a block."""
    return int(BLOCK_SECONDS * codec.sample_rate)


def encode_long(codec: Codec, audio: Tensor, n_codebooks: int) -> Codes | None:
    """The codes of audio ``[B, C, N]`` of more than a block; None of less, or where a codec has to see it whole."""
    if audio.shape[-1] <= block_samples(codec):
        return None
    stream = _opened(codec, audio.shape[0], n_codebooks)
    if stream is None:
        return None
    encoder = stream.encoder
    return joined(codec, [*map(encoder.push, audio.split(block_samples(codec), dim=-1)), encoder.flush()])


def decode_long(codec: Codec, codes: Codes) -> Tensor | None:
    """The audio ``[B, C, N]`` of codes of more than a block; None of less, or where a codec has to see them whole."""
    blocks = list(regrouped(codec, iter([codes])))
    if len(blocks) < 2:
        return None
    stream = _opened(codec, codes.segments[0].shape[0])
    if stream is None:
        return None
    return torch.cat([*map(stream.decoder.push, blocks), stream.decoder.flush()], dim=-1)


def encode_blocks(codec: Codec, blocks: Iterator[Tensor], n_codebooks: int) -> Iterator[Codes]:
    """The codes of a recording part by part, those of ``Codec.encode``; all at once where a codec has to see it whole.

    Args:
        codec: in evaluation mode.
        blocks: audio ``[B, C, block_samples]``, the last shorter; at least one.
        n_codebooks: used.
    """
    first = next(blocks)
    second = next(blocks, None)
    if second is None:
        yield codec.encode(first, n_codebooks=n_codebooks)
        return
    blocks = chain([first, second], blocks)
    stream = _opened(codec, first.shape[0], n_codebooks)
    if stream is None:
        yield codec.encode(torch.cat(list(blocks), dim=-1), n_codebooks=n_codebooks)
        return
    yield from map(stream.encoder.push, blocks)
    yield stream.encoder.flush()


def decode_blocks(codec: Codec, codes: Iterator[Codes]) -> Iterator[Tensor]:
    """The audio ``[B, C, n]`` of a recording part by part, that of ``Codec.decode``.

    Args:
        codec: whose codes they are; where it has to see them whole, there is one part.
        codes: of the recording, in parts of any length.
    """
    blocks = regrouped(codec, codes)
    first = next(blocks, None)
    if first is None:
        return
    second = next(blocks, None)
    if second is None:
        yield codec.decode(first)
        return
    blocks = chain([first, second], blocks)
    stream = _opened(codec, first.segments[0].shape[0])
    if stream is None:
        yield codec.decode(joined(codec, list(blocks)))
        return
    yield from map(stream.decoder.push, blocks)
    yield stream.decoder.flush()


def regrouped(codec: Codec, codes: Iterator[Codes]) -> Iterator[Codes]:
    """Codes in blocks of equal length from the start, the last shorter: frames, or segments where audio is cut."""
    held: Codes | None = None
    unit = codec.hop_length if codec.segments is None else codec.segments.stride
    size = max(1, block_samples(codec) // unit)
    for part in codes:
        held = part if held is None else joined(codec, [held, part])
        while _units(codec, held) > size:
            block, held = _split(codec, held, size, size * unit)
            yield block
    if held is not None and held.segments:
        yield held


def joined(codec: Codec, parts: list[Codes]) -> Codes:
    """The codes of one recording out of those of its parts."""
    segments = [segment for part in parts for segment in part.segments]
    if codec.segments is None and segments:
        segments = [torch.cat(segments, dim=-1)]
    scales = [scale for part in parts for scale in part.scales or []] if codec.normalize else None
    return Codes(segments, scales, sum(part.length for part in parts), codec.sample_rate, 0.0)


def _opened(codec: Codec, batch: int, n_codebooks: int | None = None) -> CodecStream | None:
    try:
        return codec.stream(n_codebooks=n_codebooks, batch=batch, lookahead=True)
    except NotStreamableError:
        return None


def _units(codec: Codec, codes: Codes) -> int:
    if codec.segments is not None:
        return len(codes.segments)
    return codes.segments[0].shape[-1] if codes.segments else 0


def _split(codec: Codec, codes: Codes, size: int, samples: int) -> tuple[Codes, Codes]:
    """The first ``size`` frames or segments, which are of ``samples``, and the rest."""
    if codec.segments is None:
        parts = [segment.split([size, segment.shape[-1] - size], dim=-1) for segment in codes.segments]
        pieces = [part[0] for part in parts], [part[1] for part in parts]
    else:
        pieces = codes.segments[:size], codes.segments[size:]
    scales = (None, None) if codes.scales is None else (codes.scales[:size], codes.scales[size:])
    lengths = samples, codes.length - samples
    first, second = (
        Codes(piece, scale, length, codes.sample_rate, codes.bitrate)
        for piece, scale, length in zip(pieces, scales, lengths, strict=True)
    )
    return first, second
