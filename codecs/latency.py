"""How late a codec is in a live stream."""

import math
from dataclasses import dataclass

import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.layers.convolution import refuse_norms_over_time
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.layers.streaming import layer_stream
from codeclab.codecs.receptive_field import example, receptive_field, thin


@dataclass(frozen=True)
class Latency:
    """How late a stream is, computation not counted.

    Attributes:
        start: seconds of audio that must be there before the first sample is decoded (EnCodec 4.6, "initial latency").
        running: seconds from a sample to the end of what its decoding waits for, once the stream has begun.
    """

    start: float
    running: float


def latency(codec: Codec) -> Latency:
    """How late a codec is, at the start and running.

    A codec that cuts audio into segments needs a whole one (1 s at 48 kHz). Otherwise running it is one more than the
    later samples that a decoded sample depends on: of a causal codec the product of its strides, 320 samples or 13.3 ms
    at 24 kHz (EnCodec 3.1). At the start, layers that pad by reflection wait for the samples that they reflect.

    Args:
        codec: any codec; only its structure counts, not its weights.

    Returns:
        seconds; infinite where the end of the recording has to be seen.
    """
    if codec.segments is not None:
        whole = codec.segments.length / codec.sample_rate
        return Latency(whole, whole)
    if codec.normalize:
        return Latency(math.inf, math.inf)
    try:
        running = samples_ahead(codec) + 1
    except NotStreamableError:
        return Latency(math.inf, math.inf)
    return Latency(max(_first_needed(codec), running) / codec.sample_rate, running / codec.sample_rate)


def samples_ahead(codec: Codec) -> int:
    """Later samples that a decoded sample depends on, once a stream has begun, of a codec that codes audio whole.

    Raises:
        NotStreamableError: a part cannot be streamed.
    """
    for part in (codec.encoder, codec.decoder):
        part.stream()
        refuse_norms_over_time(part)
    return receptive_field(codec).samples_future


@torch.no_grad()
def _first_needed(codec: Codec) -> int:
    """Samples after which a stream gives its first one, by trying."""
    encoder, width, _ = thin(codec.encoder, codec.channels)
    decoder, depth, _ = thin(codec.decoder, codec.decoder.dimension)

    def begins(samples: int) -> bool:
        latent = layer_stream(encoder).push(example(encoder).new_zeros(1, width, samples))
        frames = example(decoder).new_zeros(1, depth, latent.shape[-1])
        return frames.shape[-1] > 0 and layer_stream(decoder).push(frames).shape[-1] > 0

    least, most = 0, codec.hop_length
    while not begins(most):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if begins(middle) else (middle, most)
    return most
