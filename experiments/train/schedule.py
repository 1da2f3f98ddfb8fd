"""Who learns from which batch: when the quantizer and the discriminators join, and when they learn."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.experiments.train.rate_sampling import PerBatchBandwidth, RateSampling

UPDATE_DRAW = 1
"""Stream number of the draw that decides whether the discriminators learn from a batch."""


@dataclass(frozen=True)
class StepChoices:
    """What the host decides about a batch before the device works on it, a function of the seed and the batch.

    Attributes:
        n_codebooks: the quantizer's ``n_codebooks`` for each part of the batch: None (all), one number, or
            ``int64 [B]`` on the CPU.
        quantize: whether the quantizer has joined.
        ensemble: index of the ensemble of discriminators; None before they join, or without any.
        warming: whether only the discriminators learn.
        discriminators_learn: whether the discriminators learn.
    """

    n_codebooks: list[int | Tensor | None]
    quantize: bool
    ensemble: int | None
    warming: bool
    discriminators_learn: bool

    @property
    def key(self) -> Hashable:
        """Equal for batches on which the device does the same work; items' numbers of codebooks may differ."""
        most = [("items", int(n.max())) if isinstance(n, Tensor) else ("batch", n) for n in self.n_codebooks]
        return (*most, self.quantize, self.ensemble, self.warming, self.discriminators_learn)


@dataclass
class Schedule:
    """The decisions about each batch; ``CodecExperiment`` describes the arguments.

    Several ensembles of discriminators (``n_ensembles``) are of one bandwidth each.

    Raises:
        ValueError: a number is out of range; the message says what is possible.
    """

    seed: int
    rate_sampling: RateSampling
    n_ensembles: int
    quantizer_start: int
    adversarial_start: int
    discriminator_warmup: int
    discriminator_probability: float
    accumulate: int

    def __post_init__(self) -> None:
        if not 0 <= self.discriminator_probability <= 1:
            raise ValueError(f"discriminator_probability is {self.discriminator_probability}; it should be 0 to 1")
        for name, start in (("quantizer_start", self.quantizer_start), ("adversarial_start", self.adversarial_start)):
            if start < 0:
                raise ValueError(f"{name} is {start}; it should be 0 or more batches")
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
        """The decisions about a batch whose items have the positions ``items``, ``int64 [B]``."""
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
