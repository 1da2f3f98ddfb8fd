"""Who learns from which batch: when the quantizer and the discriminators join, and when they learn."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.experiments.train.choices import StepChoices
from codeclab.experiments.train.rate_sampling import PerBatchBandwidth, RateSampling

UPDATE_DRAW = 1
"""Stream number of the draw that decides whether the discriminators learn from a batch."""


@dataclass
class Schedule:
    """The decisions about each batch, functions of the seed and the batch alone.

    Args:
        seed: seed of every draw.
        rate_sampling: choice of the number of codebooks.
        n_ensembles: number of ensembles of discriminators; several are of one bandwidth each.
        quantizer_start: number of batches before the quantizer joins.
        adversarial_start: number of batches before the discriminators join.
        discriminator_warmup: number of batches after that in which only the discriminators learn.
        discriminator_probability: probability that the discriminators learn from a batch, 0 to 1.
        accumulate: number of parts into which a batch is split.

    Raises:
        ValueError: a number is out of range; the message says what is possible.
    """

    seed: int
    rate_sampling: RateSampling
    n_ensembles: int = 0
    quantizer_start: int = 0
    adversarial_start: int = 0
    discriminator_warmup: int = 0
    discriminator_probability: float = 1.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.discriminator_probability <= 1:
            raise ValueError(f"discriminator_probability is {self.discriminator_probability}; it should be 0 to 1")
        if self.quantizer_start < 0:
            raise ValueError(f"quantizer_start is {self.quantizer_start}; it should be 0 or more batches")
        if self.adversarial_start < 0:
            raise ValueError(f"adversarial_start is {self.adversarial_start}; it should be 0 or more batches")
        if self.discriminator_warmup < 0 or (self.discriminator_warmup and not self.n_ensembles):
            raise ValueError(
                f"discriminator_warmup is {self.discriminator_warmup}; it should be 0 or, with discriminators, more "
                "batches"
            )
        if self.accumulate < 1:
            raise ValueError(f"accumulate is {self.accumulate}; it should be at least 1")

    def discriminators_learn(self, batch: int) -> bool:
        """Whether the discriminators, where they have joined, learn from this batch beside the generator."""
        rng = np.random.default_rng([self.seed, UPDATE_DRAW, batch])
        return bool(rng.random() < self.discriminator_probability)

    def ensemble_of(self, batch: int) -> int | None:
        """The index of the ensemble for this batch; None without discriminators, or before they join."""
        if not self.n_ensembles or batch < self.adversarial_start:
            return None
        if self.n_ensembles > 1 and isinstance(self.rate_sampling, PerBatchBandwidth):
            return self.rate_sampling.index(self.seed, batch)
        return 0

    def choices(self, batch: int, items: Tensor, codec: Codec) -> StepChoices:
        """The decisions about a batch.

        Args:
            batch: index of the batch.
            items: positions of its items, ``int64 [B]``.
            codec: codec whose number of codebooks is drawn.
        """
        ensemble = self.ensemble_of(batch)
        warming = ensemble is not None and batch < self.adversarial_start + self.discriminator_warmup
        parts = items.chunk(min(self.accumulate, len(items)))
        return StepChoices(
            n_codebooks=[self.rate_sampling.sample(self.seed, batch, part, codec) for part in parts],
            quantize=batch >= self.quantizer_start,
            ensemble=ensemble,
            warming=warming,
            discriminators_learn=ensemble is not None and (warming or self.discriminators_learn(batch)),
        )
