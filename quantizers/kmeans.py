"""Lloyd's k-means, from which a codebook starts, and the search for the nearest entry that it shares with one."""

import torch
from torch import Tensor

SEARCH_ROWS = 1 << 15
"""Vectors compared at once: bounds the memory of a search on hours of audio (128 MiB at 1024 entries)."""


def half_squares(entries: Tensor) -> Tensor:
    """``-|e|^2 / 2`` of entries ``[..., D]``, ``[...]``."""
    return entries.square().sum(-1).mul(-0.5)


def nearest(vectors: Tensor, entries: Tensor, halves: Tensor | None = None) -> Tensor:
    """Index of the entry with the smallest Euclidean distance to each vector.

    ``argmin |x - e|^2 = argmax (x e - |e|^2 / 2)``: one matrix product, and no ``[N, size, D]`` difference.

    Args:
        vectors: ``[N, D]``.
        entries: ``[size, D]``.
        halves: their ``half_squares``, where known.

    Returns:
        ``int64 [N]``.
    """
    halves = half_squares(entries) if halves is None else halves
    if torch.compiler.is_exporting():  # a graph leaves open how many parts there would be
        return torch.addmm(halves, vectors, entries.t()).max(1).indices
    parts = [torch.addmm(halves, rows, entries.t()).max(1).indices for rows in vectors.split(SEARCH_ROWS)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def assigned_sums(vectors: Tensor, codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sum ``[size, D]`` and number ``[size]`` of the vectors ``[N, D]`` assigned to each entry by ``codes [N]``."""
    sums = vectors.new_zeros(size, vectors.shape[1]).index_add_(0, codes, vectors)
    counts = vectors.new_zeros(size).index_add_(0, codes, vectors.new_ones(len(codes)))
    return sums, counts


def draw_indices(available: int, wanted: int, generator: torch.Generator) -> Tensor:
    """``wanted`` random positions below ``available``, ``int64``, repeated only as often as there are too few."""
    rounds = -(-wanted // available)
    return torch.cat([torch.randperm(available, generator=generator) for _ in range(rounds)])[:wanted]


def kmeans(vectors: Tensor, size: int, iterations: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cluster ``vectors``: random vectors as seeds, then ``iterations`` of assignment and averaging (Lloyd 1982).

    Args:
        vectors: ``[N, D]``, at least one.
        size: number of clusters; more than ``N`` leaves some empty.
        iterations: rounds, at least one.
        generator: CPU generator of the seeds.

    Returns:
        Means ``[size, D]`` (an empty cluster keeps its last) and how many vectors each is the mean of ``[size]``.
    """
    seeds = draw_indices(len(vectors), size, generator).to(vectors.device)
    means = vectors[seeds]
    counts = vectors.new_zeros(size)
    for _ in range(iterations):
        sums, counts = assigned_sums(vectors, nearest(vectors, means), size)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    return means, counts
