"""The latency of a codec in a stream."""

import math
from bisect import bisect_left
from dataclasses import dataclass

import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.layers.convolution import refuse_norms_over_time
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.layers.streaming import layer_stream
from codeclab.codecs.receptive_field import example, receptive_field, thin


@dataclass(frozen=True)
class Latency:
    """The latency of a stream, without computation.

    Attributes:
        start: audio needed before the first sample is decoded, seconds (EnCodec 4.6, "initial latency").
        running: audio from a sample to the last one that its decoding needs, seconds, once the stream runs.
    """

    start: float
    running: float


def latency(codec: Codec) -> Latency:
    """The latency of a codec at the start of a stream and while it runs.

    A codec that cuts audio into segments needs a whole segment (1 s at 48 kHz). Otherwise, the running latency is one
    more than the number of later samples on which a decoded sample depends. For a causal codec this is the product of
    its strides, 320 samples or 13.3 ms at 24 kHz (EnCodec 3.1). At the start, layers with reflection padding wait for
    the samples that they reflect.

    Args:
        codec: codec whose structure is examined; its weights do not matter.

    Returns:
        latencies in seconds; infinite if the codec needs the end of the recording.
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
    """The number of later samples on which a decoded sample depends once a stream runs; for a codec without segments.

    Raises:
        NotStreamableError: a part cannot be streamed.
    """
    for part in (codec.encoder, codec.decoder):
        part.stream()
        refuse_norms_over_time(part)
    return receptive_field(codec).samples_future


@torch.no_grad()
def _first_needed(codec: Codec) -> int:
    """The number of samples after which a stream returns its first one, found by bisection with real streams."""
    encoder, width, _ = thin(codec.encoder, codec.channels)
    decoder, depth, _ = thin(codec.decoder, codec.decoder.dimension)

    def begins(samples: int) -> bool:
        latent = layer_stream(encoder).push(example(encoder).new_zeros(1, width, samples))
        frames = example(decoder).new_zeros(1, depth, latent.shape[-1])
        return frames.shape[-1] > 0 and layer_stream(decoder).push(frames).shape[-1] > 0

    least, most = 0, codec.hop_length
    while not begins(most):
        least, most = most, 2 * most
    return bisect_left(range(most), True, lo=least + 1, key=begins)
