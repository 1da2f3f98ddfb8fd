"""Checks of a quantizer's inputs, and the number of codebooks that each item of a batch uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log2

import torch
from torch import Tensor

from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.distributed import all_gather_batch, is_distributed
from codeclab.quantizers.host_work import to_device


@dataclass(frozen=True)
class CodebookChoice:
    """The number of codebooks that each item of a batch uses.

    Attributes:
        most: largest number of codebooks that an item uses.
        per_item: number of codebooks of each item, ``int64 [B]`` on the CPU; None where all items use ``most``.
    """

    most: int
    per_item: Tensor | None

    def items_using(self, codebook: int, device: torch.device) -> Tensor | None:
        """Positions, ascending, of the items that use codebook number ``codebook`` (from 0); None means all."""
        if self.per_item is None:
            return None
        return (self.per_item > codebook).nonzero().squeeze(1).to(device, non_blocking=True)

    def mask(self, codebook: int, device: torch.device) -> Tensor | None:
        """``bool [B]``, whether each item uses codebook number ``codebook`` (from 0); None means all do."""
        numbers = self.per_item
        return None if numbers is None else to_device(lambda: numbers > codebook, device)

    def masks(self, device: torch.device) -> Tensor | None:
        """``bool [K, B]``, ``mask`` of the first ``most`` codebooks; None means all items use them."""
        numbers = self.per_item
        return None if numbers is None else to_device(lambda: numbers > torch.arange(self.most)[:, None], device)

    def counts(self, batch: int, device: torch.device) -> Tensor:
        """Codebooks of each item, ``int64 [B]``."""
        numbers = self.per_item
        if numbers is None:
            return torch.full((batch,), self.most, dtype=torch.int64, device=device)
        return to_device(lambda: numbers, device)


def read_choice(n_codebooks: int | Tensor | None, available: int, batch: int) -> CodebookChoice:
    """The codebooks that each item of a batch uses, from the argument ``n_codebooks`` of a quantizer.

    Args:
        n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.
        available: number of codebooks of the quantizer.
        batch: number of items ``B`` in the batch.

    Raises:
        ValueError: a number is not between 1 and ``available``, or the tensor is not integer ``[B]``.
    """
    if n_codebooks is None:
        return CodebookChoice(available, None)
    if not isinstance(n_codebooks, Tensor):
        if not 1 <= n_codebooks <= available:
            raise ValueError(f"n_codebooks is {n_codebooks}; this quantizer has 1 to {available}")
        return CodebookChoice(int(n_codebooks), None)
    if n_codebooks.shape != (batch,) or n_codebooks.is_floating_point():
        raise ValueError(
            f"n_codebooks is {n_codebooks.dtype} of shape {tuple(n_codebooks.shape)}; "
            f"one number per item is an integer tensor of shape ({batch},)"
        )
    per_item = n_codebooks.detach().cpu().to(torch.int64)
    numbers = per_item.tolist()
    low, high = min(numbers), max(numbers)
    if low < 1 or high > available:
        raise ValueError(f"n_codebooks has values from {low} to {high}; this quantizer has 1 to {available}")
    return CodebookChoice(high, per_item)


def most_of_all_processes(choice: CodebookChoice, device: torch.device) -> CodebookChoice:
    """The same choice, with ``most`` the maximum over all processes.

    Every process must join each codebook's reductions, even one without items for it. A collective operation where
    items have their own numbers.
    """
    if choice.per_item is None or not is_distributed():
        return choice
    return CodebookChoice(int(all_gather_batch(choice.per_item.to(device)).max()), choice.per_item)


def check_latent(latent: Tensor, dimension: int) -> None:
    """Refuse a latent that is not ``[B, dimension, T]``.

    Raises:
        ValueError: ``latent`` has another shape.
    """
    if latent.dim() != 3 or latent.shape[1] != dimension:
        raise ValueError(
            f"the latent has shape {tuple(latent.shape)}; this quantizer takes [batch, {dimension}, frames]"
        )


def check_codes(codes: Tensor, sizes: Sequence[int]) -> None:
    """Refuse codes that are not int64 or int32 ``[B, K, T]`` with values below each codebook's size, or ``ABSENT``.

    Raises:
        ValueError: the type, the shape, the number of codebooks or a value is wrong.
    """
    if codes.dtype not in (torch.int64, torch.int32) or codes.dim() != 3:
        raise ValueError(
            f"the codes are {codes.dtype} of shape {tuple(codes.shape)}; "
            "they should be int64 of shape [batch, codebooks, frames]"
        )
    if not 1 <= codes.shape[1] <= len(sizes):
        raise ValueError(f"the codes use {codes.shape[1]} codebooks; this quantizer has 1 to {len(sizes)}")
    if torch.compiler.is_exporting() or codes.numel() == 0:  # while exporting there are no values to check
        return
    limits = torch.tensor(sizes[: codes.shape[1]], device=codes.device)[:, None]
    if bool(((codes < ABSENT) | (codes >= limits)).any()):
        raise ValueError(
            f"the codes have values from {int(codes.min())} to {int(codes.max())}; "
            f"they should be 0 to size - 1 with sizes {list(sizes)}, or {ABSENT} where absent"
        )


def nominal_bits(choice: CodebookChoice, sizes: Sequence[int], batch: int, device: torch.device) -> Tensor:
    """Nominal bits per frame of each item's codebooks, ``float32 [B]``: the sum of ``log2(size)``."""
    totals = [0.0, *accumulate(log2(size) for size in sizes)]
    numbers = choice.per_item
    if numbers is None:
        return torch.full((batch,), totals[choice.most], device=device)
    return to_device(lambda: torch.tensor([totals[number] for number in numbers.tolist()]), device)
