"""The choice of the number of codebooks of a batch or an item in training."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from codeclab.codecs.bitrate import is_among
from codeclab.codecs.codec import Codec
from codeclab.quantizers.rate_error import RateError

BANDWIDTH_STREAM, DROPOUT_STREAM = 0xBA4D, 0xD409
"""Stream numbers that make these draws independent of others with the same seed, batch and item."""


class RateSampling(ABC):
    """A policy for the number of codebooks of a training batch, equal on every process and in a resumed run."""

    @abstractmethod
    def sample(self, seed: int, batch: int, items: Tensor, codec: Codec) -> int | Tensor | None:
        """The quantizer's ``n_codebooks``: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Args:
            seed: seed of the run.
            batch: index of the batch, from 0.
            items: positions of this process's items in the global batch, ``int64 [B]``.
            codec: codec in training.
        """

    @abstractmethod
    def check(self, codec: Codec) -> None:
        """Refuse, before training, a codec that the policy does not fit.

        Raises:
            ValueError: the codec does not fit.
        """


class AllCodebooks(RateSampling):
    """Every item uses every codebook: one bitrate is trained."""

    def sample(self, seed: int, batch: int, items: Tensor, codec: Codec) -> int | Tensor | None:
        """None, which means all."""
        return None

    def check(self, codec: Codec) -> None:
        """Any codec fits."""


class PerBatchBandwidth(RateSampling):
    """One bitrate for the whole batch, each equally likely (EnCodec, Section 3.2 and 3.4).

    The whole batch has one bitrate, so that it goes to the discriminators of this bitrate alone.

    Args:
        bitrates: bitrates in kbps, each of which the codec offers.

    Raises:
        RateError: there are no bitrates, or one is repeated.
    """

    def __init__(self, bitrates: list[float]) -> None:
        if not bitrates or len(set(bitrates)) < len(bitrates):
            raise RateError(f"bitrates is {bitrates}; give a list of at least one bitrate in kbps, without repetition")
        self.bitrates = bitrates

    def index(self, seed: int, batch: int) -> int:
        """Position in ``bitrates`` of the bitrate of a batch, a function of seed and batch."""
        return int(_generator(BANDWIDTH_STREAM, seed, batch).integers(len(self.bitrates)))

    def sample(self, seed: int, batch: int, items: Tensor, codec: Codec) -> int | Tensor | None:
        """The number of codebooks of this batch's bitrate."""
        return codec.n_codebooks_for(self.bitrates[self.index(seed, batch)])

    def check(self, codec: Codec) -> None:
        """Refuse bitrates that the codec does not offer.

        Raises:
            RateError: the codec does not offer a bitrate; the message lists those offered.
        """
        offered = list(codec.bitrates)
        missing = [rate for rate in self.bitrates if not is_among(rate, offered)]
        if missing:
            listed = ", ".join(f"{one:g}" for one in offered)
            raise RateError(f"the codec does not offer {missing} kbps; it offers {listed}")


class CodebookDropout(RateSampling):
    """Each item uses a uniformly drawn number of codebooks, 1 to all, with probability ``p``; otherwise all (DAC).

    Kumar et al. 2023, Section 3.3 ("quantizer dropout"). The draws of items are independent. The released code instead
    draws for the first ``int(B * p)`` items of each process. The expected share is the same, but it depends on the
    number of processes, and with one item per process there is no dropout at all.

    Args:
        p: probability of an item's draw, 0 to 1.

    Raises:
        ValueError: ``p`` is outside 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; a probability is between 0 and 1")
        self.p = p

    def sample(self, seed: int, batch: int, items: Tensor, codec: Codec) -> int | Tensor | None:
        """Numbers of codebooks ``int64 [B]``; each a function of seed, batch and the item's global position."""
        most = codec.quantizer.n_codebooks
        return torch.tensor([self._draw(seed, batch, item, most) for item in items.tolist()], dtype=torch.int64)

    def check(self, codec: Codec) -> None:
        """Refuse a codec whose quantizer always uses all its codebooks.

        Raises:
            RateError: the quantizer always uses all its codebooks.
        """
        if codec.quantizer.learns_rate:
            raise RateError(
                f"CodebookDropout draws n_codebooks, but {type(codec.quantizer).__name__} learns one bitrate with all; "
                "use AllCodebooks"
            )

    def _draw(self, seed: int, batch: int, item: int, most: int) -> int:
        generator = _generator(DROPOUT_STREAM, seed, batch, item)
        return int(generator.integers(1, most + 1)) if generator.random() < self.p else most


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
