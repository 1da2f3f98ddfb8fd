"""Long recordings in blocks: coded by a stream, so that memory does not grow, and alike from a file and in one call.

Sums of floating-point numbers depend on how long the audio is that a layer gets at once. Here that is decided by the
recording alone: one of up to ``block_samples`` is coded whole, a longer one in blocks of that length from its start.
"""

from collections.abc import Iterator
from itertools import chain, islice

import torch
from torch import Tensor

from codeclab.codecs.audio_input import codec_audio
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.resample import same_length
from codeclab.codecs.segments import equal_pieces, equal_runs
from codeclab.codecs.streaming import CodecStream

BLOCK_SECONDS = 4.0
MOST_SAMPLES = 96_000
"""What is coded at once: enough for large matrix products, and at high rates little enough for memory and caches."""


def block_samples(codec: Codec) -> int:
    """Samples of a block: 4 s, or 96,000 samples where that is less, up to the next whole frame."""
    samples = min(int(BLOCK_SECONDS * codec.sample_rate), MOST_SAMPLES)
    return -(-samples // codec.hop_length) * codec.hop_length


def encode_recording(codec: Codec, audio: Tensor, n_codebooks: int) -> Codes:
    """The codes of audio ``[B, C, N]`` on the codec's device, in one call."""
    return joined(codec, list(_encoded(codec, iter(audio.split(block_samples(codec), dim=-1)), n_codebooks)))


def decode_recording(codec: Codec, codes: Codes) -> Tensor:
    """The audio ``[B, C, N]`` of codes, in one call."""
    return torch.cat(list(decode_blocks(codec, iter([codes]))), dim=-1)


def encode_blocks(codec: Codec, blocks: Iterator[Tensor], n_codebooks: int) -> Iterator[Codes]:
    """The codes of a recording part by part, those of ``Codec.encode``; all at once where a codec has to see it whole.

    Args:
        codec: in evaluation mode.
        blocks: audio ``[B, C, block_samples]``, the last shorter; at least one.
        n_codebooks: used.

    Raises:
        ValueError: audio that is not finite, or of other channels than the codec's.
    """
    parameter = next(codec.parameters())
    checked = (codec_audio(block, None, codec.sample_rate, codec.channels).to(parameter) for block in blocks)
    return _encoded(codec, checked, n_codebooks)


def _encoded(codec: Codec, blocks: Iterator[Tensor], n_codebooks: int) -> Iterator[Codes]:
    whole = list(islice(blocks, 2))
    stream = None if len(whole) < 2 else _opened(codec, whole[0].shape[0], n_codebooks)
    if stream is None:
        yield encode_whole(codec, torch.cat([*whole, *blocks], dim=-1), n_codebooks)
        return
    yield from map(stream.encoder.push, chain(whole, blocks))
    yield stream.encoder.flush()


def decode_blocks(codec: Codec, codes: Iterator[Codes]) -> Iterator[Tensor]:
    """The audio ``[B, C, n]`` of a recording part by part, that of ``Codec.decode``.

    Args:
        codec: whose codes they are; where it has to see them whole, there is one part.
        codes: of the recording, in parts of any length.
    """
    blocks = regrouped(codec, codes)
    whole = list(islice(blocks, 2))
    if not whole:
        return
    stream = None if len(whole) < 2 else _opened(codec, whole[0].segments[0].shape[0])
    if stream is None:
        yield decode_whole(codec, joined(codec, [*whole, *blocks]))
        return
    yield from map(stream.decoder.push, chain(whole, blocks))
    yield stream.decoder.flush()


@torch.no_grad()
def encode_whole(codec: Codec, audio: Tensor, n_codebooks: int) -> Codes:
    """The codes of audio ``[B, C, N]`` on the codec's device, which every layer gets at once."""
    segments: list[Tensor] = []
    scales: list[Tensor] = []
    for pieces in equal_pieces(audio, codec.spans(audio.shape[-1])):
        codes, levels = codec.encode_pieces(torch.cat(pieces), n_codebooks)
        segments += codes.split(audio.shape[0])
        scales += [] if levels is None else levels.split(audio.shape[0])
    return Codes(segments, scales if codec.normalize else None, audio.shape[-1], codec.sample_rate, 0.0)


@torch.no_grad()
def decode_whole(codec: Codec, codes: Codes) -> Tensor:
    """The audio ``[B, C, N]`` of codes, which every layer gets at once."""
    pieces: list[Tensor] = []
    batch = codes.segments[0].shape[0]
    for first, last in equal_runs([segment.shape[-1] for segment in codes.segments]):
        levels = None if codes.scales is None else torch.cat(codes.scales[first:last])
        pieces += codec.decode_pieces(torch.cat(codes.segments[first:last]), levels).split(batch)
    if codec.segments is None:
        return same_length(pieces[0], codes.length)
    return same_length(codec.segments.overlap_add(pieces), codes.length)


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
