"""Long recordings in blocks: coded by a stream in bounded memory, with equal results from a file and in one call.

Floating-point sums depend on the length of a layer's input. Here the recording alone determines this length: one of up
to ``block_samples`` is coded whole, a longer one in blocks of that length from its start.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

import torch
from torch import Tensor

from codeclab.codecs.audio_input import codec_audio
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.resample import same_length
from codeclab.codecs.streaming import CodecStream, decode_segments, encode_spans

BLOCK_SECONDS = 4.0
MOST_SAMPLES = 48_000
"""Upper limit of a block: large enough for efficient matrix products, small enough for memory and caches."""


def block_samples(codec: Codec) -> int:
    """Samples per block: 4 s or 48,000 samples, whichever is less, rounded up to a whole frame."""
    samples = min(int(BLOCK_SECONDS * codec.sample_rate), MOST_SAMPLES)
    return -(-samples // codec.hop_length) * codec.hop_length


def encode_recording(codec: Codec, audio: Tensor, n_codebooks: int) -> Codes:
    """The codes of audio ``[B, C, N]`` on the codec's device."""
    return joined(codec, list(_encoded(codec, iter(audio.split(block_samples(codec), dim=-1)), n_codebooks)))


def encode_blocks(codec: Codec, blocks: Iterator[Tensor], n_codebooks: int) -> Iterator[Codes]:
    """The codes of a recording, equal to those of ``Codec.encode``, in parts; in one if the codec needs it whole.

    Args:
        codec: codec in evaluation mode.
        blocks: blocks of audio ``[B, C, block_samples]``, the last one shorter; at least one.
        n_codebooks: number of codebooks in use.

    Raises:
        ValueError: the audio is not finite, or its number of channels is not the codec's.
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
    """The audio ``[B, C, n]`` of a recording, equal to that of ``Codec.decode``, in parts.

    Args:
        codec: codec of the codes; if it needs them whole, there is one part.
        codes: codes of the recording, in parts of any length.
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
    """The codes of audio ``[B, C, N]`` on the codec's device, with whole segments as the input of every layer."""
    segments, scales = encode_spans(codec, audio, list(codec.spans(audio.shape[-1])), n_codebooks)
    return Codes(segments, scales if codec.normalize else None, audio.shape[-1], codec.sample_rate, 0.0)


@torch.no_grad()
def decode_whole(codec: Codec, codes: Codes) -> Tensor:
    """The audio ``[B, C, N]`` of codes, with whole segments as the input of every layer."""
    pieces = list(decode_segments(codec, codes))
    return same_length(pieces[0] if codec.segments is None else codec.segments.overlap_add(pieces), codes.length)


def regrouped(codec: Codec, codes: Iterator[Codes]) -> Iterator[Codes]:
    """Codes in blocks of an equal number of frames, or of segments if the codec cuts audio; the last one is shorter."""
    held: Codes | None = None
    unit = codec.hop_length if codec.segments is None else codec.segments.stride
    size = max(1, block_samples(codec) // unit)
    for part in codes:
        held = joined(codec, [part] if held is None else [held, part])
        # At least one unit is held back: the last block ends with the audio, which may be within its last frame.
        while _units(codec, held) > size:
            block, held = _split(codec, held, size, size * unit)
            yield block
    if held is not None and held.segments:
        yield held


def joined(codec: Codec, parts: list[Codes]) -> Codes:
    """The codes of a recording from the codes of its parts."""
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
    """The first ``size`` frames or segments, of ``samples`` samples, and the rest."""
    first, rest = codes.segments[:size], codes.segments[size:]
    if codec.segments is None:
        first, rest = [codes.codes[..., :size]], [codes.codes[..., size:]]
    return (
        replace(codes, segments=first, scales=codes.scales and codes.scales[:size], length=samples),
        replace(codes, segments=rest, scales=codes.scales and codes.scales[size:], length=codes.length - samples),
    )
