"""Settings of live coding, for options, too, which do not import torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveSettings:
    """How a live stream is coded.

    Attributes:
        bitrate: bitrate, kbps; None is the codec's highest.
        pcm: sample type of the raw PCM, one of ``codecs.io.pcm_formats.FORMATS``.
        lookahead: whether a codec that is not causal may delay the stream by as much as it looks ahead.
        entropy: name of the entropy coder of codes: ``none``, ``static``, ``prior`` or ``lm``.
        chunk_seconds: duration of a chunk of codes, seconds; 0 as in a file. A longer chunk delays more; a shorter one
            costs eight bytes more often.
    """

    bitrate: float | None = None
    pcm: str = "s16le"
    lookahead: bool = False
    entropy: str = "none"
    chunk_seconds: float = 0.2
