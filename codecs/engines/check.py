"""Comparison of a codec's graphs with the codec: equality of outputs, and speed."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.formats import Run
from codeclab.codecs.layers.streaming import pushed_whole
from codeclab.codecs.timing import in_threads, in_turns
from codeclab.codecs.wording import counted
from codeclab.quantizers.base import ABSENT

LEAST_EQUAL = 0.99
"""Smallest share of equal codes; a few latents are so close to two entries that rounding decides."""

MOST_APART = 1e-3
"""Largest allowed difference of decoded audio, relative to its rms."""

TIMED_SECONDS = 4.0
TIMED_RUNS = 3


@dataclass(frozen=True)
class Graphs:
    """The four graphs of a codec as functions.

    Attributes:
        encoder: audio ``[B, C, N]`` to a latent ``[B, D, T]``.
        quantizer: a latent to codes ``int64 [B, K, T]``.
        dequantizer: codes to a latent.
        decoder: a latent to audio.
    """

    encoder: Run
    quantizer: Run
    dequantizer: Run
    decoder: Run

    def encode(self, audio: Tensor) -> Tensor:
        """Audio ``[B, C, N]`` to codes ``int64 [B, K, T]``."""
        return self.quantizer(self.encoder(audio))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``int64 [B, K, T]`` to audio ``[B, C, N]``."""
        return self.decoder(self.dequantizer(codes))


@dataclass(frozen=True)
class EngineAgreement:
    """The difference between graphs and their codec.

    Attributes:
        codes: number of codes that were compared, at the highest bitrate.
        equal: share of equal codes, 0 to 1.
        apart: largest difference of audio decoded from the codec's codes, full scale 1.
        rms: rms of that audio, full scale 1.
    """

    codes: int
    equal: float
    apart: float
    rms: float


@dataclass(frozen=True)
class Speeds:
    """Seconds of audio coded per second on one thread.

    Attributes:
        encode: encoding by the graphs.
        decode: decoding by the graphs.
        own_encode: encoding by the codec itself.
        own_decode: decoding by the codec itself.
    """

    encode: float
    decode: float
    own_encode: float
    own_decode: float


@torch.no_grad()
def agreement(codec: Codec, graphs: Graphs) -> EngineAgreement:
    """Compare graphs with their codec, on two batches of different sizes and lengths, at every bitrate.

    Raises:
        ValueError: they differ by more than rounding explains; the message says where.
    """
    most = codec.choose_codebooks()
    compared, equal, apart, squares, samples = 0, 0, 0.0, 0.0, 0
    longest = max(codec.sample_rate if codec.segments is None else codec.segments.length, 8 * codec.hop_length)
    for audio in (_audio(codec, 1, longest), _audio(codec, 3, longest // 2 + 1)):
        latent = pushed_whole(codec.encoder, audio).contiguous()
        codes = codec.quantizer.encode(latent, most)
        graph_codes = graphs.encode(audio)
        if graph_codes.shape != codes.shape:
            raise ValueError(
                f"the graphs give codes {list(graph_codes.shape)} where the codec gives {list(codes.shape)}"
            )
        compared, equal = compared + codes.numel(), equal + int((graph_codes == codes).sum())
        _check_prefixes(codec, graphs, latent)
        for count in {codec.n_codebooks_for(rate) for rate in codec.bitrates}:
            decoded = pushed_whole(codec.decoder, codec.quantizer.decode(codes[:, :count]))
            # The graph takes the codes of all codebooks.
            exported = graphs.decode(F.pad(codes[:, :count], (0, 0, 0, most - count), value=ABSENT))
            if exported.shape != decoded.shape:
                raise ValueError(
                    f"the graphs give audio {list(exported.shape)} where the codec gives {list(decoded.shape)}"
                )
            apart = max(apart, float((exported - decoded).abs().max()))
            squares, samples = squares + float(decoded.square().sum()), samples + decoded.numel()
    result = EngineAgreement(compared, equal / compared, apart, (squares / samples) ** 0.5)
    # Written so that NaN fails, too.
    if not (result.equal >= LEAST_EQUAL and result.apart <= MOST_APART * result.rms):
        raise ValueError(
            f"the graphs do not compute what the codec does: {100 * result.equal:.2f} % of the codes are equal, "
            f"at least {100 * LEAST_EQUAL:.0f} % should be; decoded audio differs by {result.apart:.2g} at an rms of "
            f"{result.rms:.2g}, at most {MOST_APART:g} of it would be right. Nothing was written"
        )
    return result


@torch.no_grad()
def speeds(codec: Codec, graphs: Graphs) -> Speeds:
    """Time codec and graphs on one thread, in turns: the median of three runs each, after a warm-up run."""
    seconds = TIMED_SECONDS if codec.segment is None else min(TIMED_SECONDS, codec.segment)
    audio = _audio(codec, 1, int(seconds * codec.sample_rate))
    most = codec.choose_codebooks()
    codes, levels = codec.encode_pieces(audio, most)
    tasks: dict[str, Callable[[], object]] = {
        "encode": lambda: graphs.encode(audio),
        "decode": lambda: graphs.decode(codes),
        "own_encode": lambda: codec.encode_pieces(audio, most),
        "own_decode": lambda: codec.decode_pieces(codes, levels),
    }
    with in_threads(1):
        taken = in_turns(tasks, TIMED_RUNS)
    return Speeds(**{name: seconds / median(times) for name, times in taken.items()})


def _check_prefixes(codec: Codec, graphs: Graphs, latent: Tensor) -> None:
    """Refuse a quantizer whose first codes depend on the number of codebooks: a lower bitrate takes a prefix."""
    graph_codes = graphs.quantizer(latent)
    for count in {codec.n_codebooks_for(rate) for rate in codec.bitrates}:
        codes = codec.quantizer.encode(latent, count)
        share = float((codes == graph_codes[:, :count]).float().mean())
        if share < LEAST_EQUAL:
            raise ValueError(
                f"with {counted(count, 'codebook')} {type(codec.quantizer).__name__} gives other codes than the first "
                f"of all, {100 * share:.2f} % are equal; one graph cannot stand for every bitrate"
            )


def _audio(codec: Codec, items: int, samples: int) -> Tensor:
    """Noise with a varying level, ``[B, C, N]``, as loud as the encoder's usual input."""
    noise = torch.randn(items, codec.channels, samples, generator=torch.Generator().manual_seed(samples))
    swell = 0.5 - 0.45 * torch.cos(torch.arange(samples) * (8 * torch.pi / codec.sample_rate))
    return noise * swell * (1.0 if codec.normalize else 0.1)
