"""The contract that every quantizer fulfils."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log, log2
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from codeclab.quantizers.rate_error import RateError
from codeclab.quantizers.tensor_input import takes_tensors

ABSENT = -1
"""Marks, in ``codes``, the codebooks that an item of a batch does not use."""


@dataclass
class Quantized:
    """The output of a quantizer for a latent.

    Attributes:
        latent: quantized latent ``[B, D, T]``; methods with a straight-through gradient have it here.
        codes: ``int64 [B, K, T]``, most significant codebook first; ``ABSENT`` where an item uses fewer codebooks.
        losses: named scalars that depend on the latent (``commitment``, ``codebook``, ``rate``, ...).
        bits: bits per frame that the codes cost, ``[B]``; differentiable where the method has a rate estimate.
    """

    latent: Tensor
    codes: Tensor
    losses: dict[str, Tensor]
    bits: Tensor


def unquantized(latent: Tensor) -> Quantized:
    """A latent ``[B, D, T]`` passed through unchanged: no codes ``[B, 0, T]``, no losses, no bits."""
    batch, _, length = latent.shape
    codes = torch.empty(batch, 0, length, dtype=torch.int64, device=latent.device)
    return Quantized(latent, codes, {}, torch.zeros(batch, device=latent.device))


class Quantizer(nn.Module, ABC):
    """A map of latents ``[B, D, T]`` to codes ``int64 [B, K, T]`` and back; arithmetic is float32 under any autocast.

    Attributes:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of codebooks ``K``, the upper limit of those in use.
        learns_rate: whether the class learns its bitrate, towards a ``target_bitrate``; it then offers that one alone.
        codes_are_nested: whether the codes with fewer codebooks are the first ones of those with more, exactly; a
            recording is then coded once for all bitrates.
        measured_bits: bits per frame that codes cost under a learnt prior, measured by ``Codec.measure_rate``; None
            before that.
    """

    learns_rate: ClassVar[bool] = False
    codes_are_nested: ClassVar[bool] = False
    measured_bits: float | None = None

    dimension: int
    n_codebooks: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, forward=("[B, D, T]",), encode=("[B, D, T]",), decode=("[B, K, T]",))

    @property
    @abstractmethod
    def codebook_sizes(self) -> list[int]:
        """Entries of each codebook, most significant first."""

    @abstractmethod
    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``; in training mode also update the codebooks.

        Args:
            latent: latent ``[B, D, T]``.
            n_codebooks: number of codebooks in use: None (all), one number for the batch, or ``int64 [B]``, one per
                item. A tensor is on the CPU, so that reading it does not synchronize with a GPU. A quantizer never
                draws it; ``RateSampling`` does.
        """

    @abstractmethod
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """``latent [B, D, T]`` to codes ``int64 [B, K, T]``; updates nothing."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``int64 [B, K, T]`` to a latent ``[B, D, T]``; ``ABSENT`` codes add nothing."""

    def start_from(self, frames: Tensor, batch_frames: int) -> None:
        """Initialize the codebooks from latent frames; a method without such an initialization changes nothing.

        A collective operation in a distributed run.

        Args:
            frames: latent frames ``[N, D]`` of this process.
            batch_frames: number of frames in a training batch of this process; running averages are scaled to it.
        """

    def why_not_recorded(self, per_item: bool) -> str | None:
        """Why a training step with this quantizer cannot be recorded as a CUDA graph; None where it can.

        It can be recorded if every batch after the first few launches the same operations, nothing is read back from
        the device, and whatever comes from the host goes through ``host_work``.

        Args:
            per_item: whether each item of a batch has its own number of codebooks.
        """
        return "its updates or draws may read the device"

    def bits_per_frame(self, n_codebooks: int | None = None) -> float:
        """Bits per frame of the first ``n_codebooks`` (all by default).

        The value is nominal, the sum of ``log2(size)``. For all codebooks it is ``measured_bits`` if that is not None.
        """
        count = self.check_n_codebooks(n_codebooks)
        if self.measured_bits is not None and count == self.n_codebooks:
            return self.measured_bits
        return sum(log2(size) for size in self.codebook_sizes[:count])

    @torch.no_grad()
    def code_bits(self, codes: Tensor) -> Tensor:
        """Bits per frame that each item's codes ``int64 [B, K, T]`` cost, ``float64 [B]``, the mean over its frames.

        A code costs ``-log2`` of its probability under the learnt prior. Without a prior it costs ``log2(size)``. An
        ``ABSENT`` code costs nothing.
        """
        prior = self.log_prior()
        if prior is None:
            sizes = torch.tensor(self.codebook_sizes[: codes.shape[1]], dtype=torch.float64, device=codes.device)
            bits = sizes.log2()[:, None].expand(codes.shape)
        else:
            rows = torch.arange(codes.shape[1], device=codes.device)[:, None]
            bits = -prior.double()[rows, codes.clamp(min=0)] / log(2)
        return (bits * (codes != ABSENT)).sum(1).mean(1)

    @property
    def offered_n_codebooks(self) -> list[int]:
        """Numbers of codebooks that can be chosen, ascending; a method that learns its rate has one."""
        return [self.n_codebooks] if self.learns_rate else list(range(1, self.n_codebooks + 1))

    @property
    def codes_each_frame_alone(self) -> bool:
        """Whether a frame's codes depend on that frame alone, so that a recording can be coded in blocks."""
        return True

    def log_prior(self) -> Tensor | None:
        """Natural log-probabilities ``[K, size]`` of the codes; None where the method does not learn them."""
        return None

    def check_n_codebooks(self, n_codebooks: int | None) -> int:
        """The number of codebooks, all by default.

        Raises:
            RateError: ``n_codebooks`` is not between 1 and ``self.n_codebooks``.
        """
        if n_codebooks is None:
            return self.n_codebooks
        if not 1 <= n_codebooks <= self.n_codebooks:
            raise RateError(f"n_codebooks is {n_codebooks}; this {type(self).__name__} has 1 to {self.n_codebooks}")
        return int(n_codebooks)
