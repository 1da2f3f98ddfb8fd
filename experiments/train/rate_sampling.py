"""Who chooses, while training, how many codebooks a batch or an item uses."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from codeclab.codecs.bitrate import is_among
from codeclab.quantizers.base import Quantizer

BANDWIDTH_STREAM, DROPOUT_STREAM = 0xBA4D, 0xD409
"""Keep these draws apart from others made of the same seed, batch and item."""


class RatedCodec(Protocol):
    """What of a codec the choice depends on."""

    quantizer: Quantizer

    @property
    def bitrates(self) -> Sequence[float]:
        """Bitrates offered, kbps."""

    def n_codebooks_for(self, bitrate: float) -> int:
        """Codebooks in use at a bitrate in kbps."""


class RateSampling(ABC):
    """A policy that names the codebooks of a training batch; the same on every process, and again on resume."""

    @abstractmethod
    def sample(self, seed: int, batch: int, items: Tensor, codec: RatedCodec) -> int | Tensor | None:
        """What to pass as ``n_codebooks``: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Args:
            seed: the run's seed.
            batch: index of the batch in the run.
            items: ``int64 [B]``, positions of this process's items in the global batch.
            codec: the codec being trained.
        """

    @abstractmethod
    def check(self, codec: RatedCodec) -> None:
        """Refuse, before training, a codec that the policy does not fit.

        Raises:
            ValueError: it does not fit.
        """


class AllCodebooks(RateSampling):
    """Every item uses every codebook: one bitrate is trained."""

    def sample(self, seed: int, batch: int, items: Tensor, codec: RatedCodec) -> int | Tensor | None:
        """None, which means all."""
        return None

    def check(self, codec: RatedCodec) -> None:
        """Any codec fits."""


class PerBatchBandwidth(RateSampling):
    """One bitrate for the whole batch, each equally likely (EnCodec, Section 3.2 and 3.4).

    The batch has one bitrate so that the discriminators of that bitrate alone judge it.

    Args:
        bitrates: kbps; each one that the codec offers.

    Raises:
        ValueError: no bitrates, or one twice.
    """

    def __init__(self, bitrates: list[float]) -> None:
        if not bitrates or len(set(bitrates)) < len(bitrates):
            raise ValueError(f"bitrates is {bitrates}; right is a list of different bitrates in kbps, at least one")
        self.bitrates = bitrates

    def index(self, seed: int, batch: int) -> int:
        """Position in ``bitrates`` of the bitrate of a batch, a function of seed and batch."""
        return int(_generator(BANDWIDTH_STREAM, seed, batch).integers(len(self.bitrates)))

    def sample(self, seed: int, batch: int, items: Tensor, codec: RatedCodec) -> int | Tensor | None:
        """The number of codebooks of this batch's bitrate."""
        return codec.n_codebooks_for(self.bitrates[self.index(seed, batch)])

    def check(self, codec: RatedCodec) -> None:
        """Refuse bitrates that the codec does not offer.

        Raises:
            ValueError: naming them, and those offered.
        """
        offered = list(codec.bitrates)
        missing = [rate for rate in self.bitrates if not is_among(rate, offered)]
        if missing:
            listed = ", ".join(f"{one:g}" for one in offered)
            raise ValueError(f"the codec does not offer {missing} kbps; it offers {listed}")


class CodebookDropout(RateSampling):
    """With probability ``p`` an item uses a uniformly drawn number of codebooks, 1 to all; otherwise all (DAC).

    Kumar et al. 2023, Section 3.3 ("quantizer dropout"). Each item decides for itself. The released code instead drops
    in the first ``int(B * p)`` items of what each process holds: the same expected share, but dependent on how the
    batch is cut over processes, and with one item per process never dropping at all.

    Args:
        p: probability, 0 to 1.

    Raises:
        ValueError: ``p`` is outside 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; a probability is between 0 and 1")
        self.p = p

    def sample(self, seed: int, batch: int, items: Tensor, codec: RatedCodec) -> int | Tensor | None:
        """Numbers of codebooks ``int64 [B]``; each a function of seed, batch and the item's global position."""
        most = codec.quantizer.n_codebooks
        return torch.tensor([self._draw(seed, batch, item, most) for item in items.tolist()], dtype=torch.int64)

    def check(self, codec: RatedCodec) -> None:
        """Refuse a codec whose quantizer always uses all its codebooks.

        Raises:
            ValueError: it does.
        """
        if codec.quantizer.learns_rate:
            raise ValueError(
                f"CodebookDropout draws n_codebooks, but {type(codec.quantizer).__name__} learns one bitrate with all; "
                "use AllCodebooks"
            )

    def _draw(self, seed: int, batch: int, item: int, most: int) -> int:
        generator = _generator(DROPOUT_STREAM, seed, batch, item)
        return int(generator.integers(1, most + 1)) if generator.random() < self.p else most


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
