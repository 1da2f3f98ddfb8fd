"""Rounding each dimension to a few levels: the grids of finite scalar quantization."""

from collections.abc import Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

EPSILON = 1e-3
FLOAT32_BITS = 24


class ScalarGrid(Protocol):
    """The levels of a stage of a quantizer, and the rounding to them."""

    levels: Tensor

    def bound(self, vectors: Tensor) -> Tensor:
        """``vectors [B, d, T]`` of any size, squeezed smoothly into the grid's range."""

    def nearest(self, bounded: Tensor, stage: int) -> Tensor:
        """Levels ``int64 [B, d, T]`` nearest to the output of ``bound``, or to its residual at a later stage."""

    def values(self, levels: Tensor, stage: int) -> Tensor:
        """Values ``[B, d, T]`` of the ``levels [B, d, T]`` of a stage (from 0)."""


class LevelGrid(nn.Module):
    """The grid of Mentzer et al. 2023 (Section 3.1, and ``bound`` in Appendix A.1), the same at every stage.

    With ``h = (L - 1)(1 - 0.001) / 2`` and ``o`` 0 for an odd and 1/2 for an even number ``L`` of levels::

        f(z) = h tanh(z + artanh(o / h)) - o,    q = round(f(z)) / floor(L / 2)

    so that ``f(0) = 0``. The paper prints ``tan`` for ``artanh``; its author has confirmed the misprint.

    Args:
        levels: number of levels ``L`` of each dimension, at least 3.
    """

    levels: Tensor
    reach: Tensor
    offset: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        counts = torch.tensor(levels)[:, None]
        self.register_buffer("levels", counts, persistent=False)
        self.register_buffer("reach", (counts - 1) * (1 - EPSILON) / 2, persistent=False)
        self.register_buffer("offset", 0.5 - 0.5 * (counts % 2), persistent=False)

    def bound(self, vectors: Tensor) -> Tensor:
        """``f(z) / floor(L / 2)``, about -1 to 1, of ``vectors [B, d, T]``."""
        shift = torch.atanh(self.offset / self.reach)
        return (torch.tanh(vectors + shift) * self.reach - self.offset) / (self.levels // 2)

    def nearest(self, bounded: Tensor, stage: int) -> Tensor:
        """Levels ``int64 [B, d, T]``, from 0."""
        half_width = self.levels // 2
        return (bounded * half_width).round().long() + half_width

    def values(self, levels: Tensor, stage: int) -> Tensor:
        """Values between -1 and 1, ``[B, d, T]``."""
        half_width = self.levels // 2
        return (levels - half_width) / half_width


class NestedGrid(nn.Module):
    """Intervals of equal width; each stage subdivides those of the stage before, like one more digit of a number.

    With ``c = L / (L - 1)``, ``u = c tanh(z / c)``, ``r_0 = u`` and ``r_(i+1) = r_i - q_i`` (Parker et al. 2024,
    arXiv 2411.19842, eq. 1 and Section 3.2, with the clamp for tanh from the second stage on; ``ResidualFSQ`` of
    ``vector-quantize-pytorch``)::

        k_i = floor((L - 1) (clamp(L^i r_i, -1, 1) + 1) / 2 + 1/2),    q_i = L^-i (2 k_i / (L - 1) - 1)

    Args:
        levels: number of levels ``L`` of each dimension, at least 2.
    """

    levels: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels)[:, None], persistent=False)

    def bound(self, vectors: Tensor) -> Tensor:
        """``u``, between ``-c`` and ``c``, of ``vectors [B, d, T]``."""
        largest = self.levels / (self.levels - 1)
        return torch.tanh(vectors / largest) * largest

    def nearest(self, bounded: Tensor, stage: int) -> Tensor:
        """Levels ``int64 [B, d, T]``, from 0, of a stage's residual."""
        clamped = (bounded * self.levels.float() ** stage).clamp(-1, 1)
        return ((self.levels - 1) * (clamped + 1) / 2 + 0.5).floor().long()

    def values(self, levels: Tensor, stage: int) -> Tensor:
        """``q_i``, ``[B, d, T]``."""
        return (levels * (2 / (self.levels - 1)) - 1) * self.levels.float() ** -stage


def pack(levels: Tensor, counts: Tensor) -> Tensor:
    """Codes ``int64 [B, T]`` of ``levels [B, d, T]``, digits of the mixed radix ``counts [d, 1]``, the first lowest."""
    return (levels * _place_values(counts)).sum(1)


def unpack(codes: Tensor, counts: Tensor) -> Tensor:
    """Levels ``int64 [B, d, T]`` of ``codes [B, T]``, the inverse of ``pack``."""
    return codes[:, None] // _place_values(counts) % counts


def _place_values(counts: Tensor) -> Tensor:
    return counts.cumprod(0) // counts


def check_levels(levels: Sequence[int], stages: int, nested: bool) -> None:
    """Refuse levels that a grid cannot have.

    Args:
        levels: number of levels of each dimension.
        stages: number of stages that code the same dimensions.
        nested: whether the grid is a ``NestedGrid``; otherwise it is a ``LevelGrid``.

    Raises:
        ValueError: there are no levels, too few for a dimension, or nested stages divide finer than float32 resolves.
    """
    fewest = 2 if nested else 3
    if not levels or min(levels) < fewest:
        raise ValueError(
            f"levels is {list(levels)}; give numbers of at least {fewest}, such as [8, 5, 5, 5] for "
            f"{prod([8, 5, 5, 5])} codes (the paper advises 5 and more)"
        )
    if nested and max(levels) ** stages > 2**FLOAT32_BITS:
        most = max(count for count in range(1, FLOAT32_BITS + 1) if max(levels) ** count <= 2**FLOAT32_BITS)
        raise ValueError(
            f"{stages} nested stages of {max(levels)} levels divide finer than float32 resolves; "
            f'use at most {most}, more groups, or residual: "projected"'
        )
