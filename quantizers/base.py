"""The contract every quantizer keeps."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ABSENT = -1
"""Marks, in ``codes``, the codebooks that an item of a batch does not use."""


@dataclass
class Quantized:
    """What a quantizer makes of a latent.

    Attributes:
        latent: quantized latent ``[B, D, T]``, straight-through where the method is.
        codes: ``int64 [B, K, T]``, most significant codebook first; ``ABSENT`` where an item uses fewer codebooks.
        losses: named scalars that depend on the latent (``commitment``, ``codebook``, ``rate``, ...).
        bits: bits per frame the codes cost, ``[B]``; differentiable where the method has a rate estimate.
    """

    latent: Tensor
    codes: Tensor
    losses: dict[str, Tensor]
    bits: Tensor


class Quantizer(nn.Module, ABC):
    """From a latent ``[B, D, T]`` to codes ``int64 [B, K, T]`` and back; arithmetic is float32 under any autocast.

    Attributes:
        dimension: channels ``D`` of the latent.
        n_codebooks: the most codebooks ``K`` it can use.
    """

    dimension: int
    n_codebooks: int

    @property
    @abstractmethod
    def codebook_sizes(self) -> list[int]:
        """Entries of each codebook, most significant first."""

    @abstractmethod
    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``; in training mode also learn.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item. Never drawn here.
        """

    @abstractmethod
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """``latent [B, D, T]`` to codes ``int64 [B, K, T]``, learning nothing."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``int64 [B, K, T]`` to a latent ``[B, D, T]``; ``ABSENT`` codes add nothing."""

    def bits_per_frame(self, n_codebooks: int | None = None) -> float:
        """Nominal bits per frame of the first ``n_codebooks`` (all by default): the sum of ``log2(size)``."""
        count = self.check_n_codebooks(n_codebooks)
        sizes = torch.tensor(self.codebook_sizes[:count], dtype=torch.float64)
        return float(sizes.log2().sum())

    @property
    def offered_n_codebooks(self) -> list[int]:
        """Numbers of codebooks it can be used with, ascending; a method that learns its one rate has one."""
        return list(range(1, self.n_codebooks + 1))

    def log_prior(self) -> Tensor | None:
        """Natural log-probabilities ``[K, size]`` of the codes where the method learns them, otherwise None."""
        return None

    def check_n_codebooks(self, n_codebooks: int | None) -> int:
        """The number of codebooks meant, all by default.

        Raises:
            ValueError: it is not between 1 and ``self.n_codebooks``.
        """
        if n_codebooks is None:
            return self.n_codebooks
        if not 1 <= n_codebooks <= self.n_codebooks:
            raise ValueError(f"n_codebooks is {n_codebooks}; this {type(self).__name__} has 1 to {self.n_codebooks}")
        return int(n_codebooks)
