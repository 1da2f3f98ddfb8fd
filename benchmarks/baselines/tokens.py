"""The common base of other people's codecs that give codes."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.baselines.base import Baseline, require
from codeclab.codecs.resample import resample, same_length
from codeclab.quantizers.base import ABSENT


@dataclass(frozen=True)
class Tokens:
    """A codec's output for one clip.

    Args:
        codes: codes of each codebook, ``int64 [T_k]``, most significant first; codebooks may differ in length.
        content: input of the codec's ``decode``.
        other_bits: bits of ``content`` that are not codes, such as levels.
    """

    codes: Sequence[Tensor]
    content: Any
    other_bits: float = 0.0

    def padded(self) -> Tensor:
        """The codes as ``int64 [1, K, T]``, shorter ones filled up with ``ABSENT``."""
        longest = max(code.shape[0] for code in self.codes)
        codes = torch.full((1, len(self.codes), longest), ABSENT)
        for k, code in enumerate(self.codes):
            codes[0, k, : code.shape[0]] = code
        return codes


class TokenCodec(Baseline):
    """A baseline that gives its codes, so that its true rate and the use of its bits are measured.

    Attributes:
        sample_rate: sample rate of the input of ``encode`` in Hz.
        decoded_rate: sample rate of the output of ``decode`` in Hz.
        channels: number of channels of both.
        codebook_sizes: number of entries of each codebook; empty where the content is bytes.
        fingerprint: text that changes with whatever changes the results.
    """

    sample_rate: int
    decoded_rate: int
    channels: int
    codebook_sizes: list[int]
    fingerprint: str

    def available(self) -> str | None:
        """None: the constructor raised an error for whatever is missing."""
        return None

    @abstractmethod
    def encode(self, audio: Tensor, bitrate: float) -> Tokens:
        """Samples ``[C, N]`` at ``sample_rate`` to codes, at one of ``bitrates`` in kbps."""

    @abstractmethod
    def decode(self, tokens: Tokens) -> Tensor:
        """The output of ``encode`` to samples ``[C, M]`` at ``decoded_rate``."""

    @abstractmethod
    def parameters(self) -> int | None:
        """Number of weights; None where it is not known."""

    def bits(self, tokens: Tokens) -> float:
        """Bits of what ``encode`` gave: ``log2(size)`` for every code, and what else there is."""
        pairs = zip(tokens.codes, self.codebook_sizes, strict=False)
        return tokens.other_bits + sum(len(codes) * math.log2(size) for codes, size in pairs)

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode; see ``Baseline``. The kbps are those of this clip's codes."""
        decoded, kbps, _ = self.code(audio, sample_rate, bitrate)
        return decoded, kbps

    def code(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float, Tokens]:
        """``transcode``, and the codes it went through; arguments and errors are those of ``Baseline.transcode``."""
        require(self, audio, bitrate, most_channels=self.channels)
        tokens = self.encode(resample(audio, sample_rate, self.sample_rate), bitrate)
        decoded = same_length(resample(self.decode(tokens), self.decoded_rate, sample_rate), audio.shape[1])
        return decoded, self.bits(tokens) * sample_rate / audio.shape[1] / 1000, tokens
