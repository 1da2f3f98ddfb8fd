"""Lloyd's k-means, which initializes codebooks, and the search for the nearest entry."""

import torch
from torch import Tensor

from codeclab.quantizers.matrix_product import linear

SEARCH_ROWS = 1 << 15
"""Number of vectors compared at once; it bounds the memory of a search on hours of audio (128 MiB at 1024 entries)."""

CPU_SEARCH_ROWS = 1 << 11
"""The same on a CPU, in whose cache their products with 1024 entries stay."""


def half_squares(entries: Tensor) -> Tensor:
    """``-|e|^2 / 2`` of entries ``[..., D]``, ``[...]``."""
    return entries.square().sum(-1).mul(-0.5)


def nearest(vectors: Tensor, entries: Tensor, halves: Tensor | None = None) -> Tensor:
    """Index of the entry with the smallest Euclidean distance to each vector.

    ``argmin |x - e|^2 = argmax (x e - |e|^2 / 2)``: one matrix product, and no ``[N, size, D]`` difference.

    Args:
        vectors: ``[N, D]``.
        entries: entries ``[size, D]``.
        halves: ``half_squares`` of the entries; None computes them.

    Returns:
        ``int64 [N]``.
    """
    halves = half_squares(entries) if halves is None else halves
    if torch.compiler.is_exporting():  # in a graph N is open, and hence the number of parts
        return torch.addmm(halves, vectors, entries.t()).max(1).indices
    at_once = CPU_SEARCH_ROWS if vectors.is_cpu else SEARCH_ROWS
    with torch.no_grad():
        parts = [linear(rows, entries, halves).max(1).indices for rows in vectors.split(at_once)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def assigned_sums(vectors: Tensor, codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sum ``[size, D]`` and number ``[size]`` of the vectors ``[N, D]`` assigned to each entry by ``codes [N]``."""
    sums = vectors.new_zeros(size, vectors.shape[1]).index_add_(0, codes, vectors)
    counts = vectors.new_zeros(size).index_add_(0, codes, vectors.new_ones(len(codes)))
    return sums, counts


def draw_indices(available: int, wanted: int, generator: torch.Generator) -> Tensor:
    """``wanted`` random positions below ``available``, ``int64``; they repeat only where ``wanted`` is larger."""
    rounds = -(-wanted // available)
    return torch.cat([torch.randperm(available, generator=generator) for _ in range(rounds)])[:wanted]


def kmeans(vectors: Tensor, size: int, iterations: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cluster ``vectors``: random vectors as seeds, then ``iterations`` of assignment and averaging (Lloyd 1982).

    Args:
        vectors: vectors ``[N, D]``, at least one.
        size: number of clusters; if it exceeds ``N``, some are empty.
        iterations: number of iterations, at least one.
        generator: CPU generator that draws the seeds.

    Returns:
        means ``[size, D]`` (an empty cluster keeps its last mean), and the number of vectors in each cluster
        ``[size]``.
    """
    seeds = draw_indices(len(vectors), size, generator).to(vectors.device)
    means = vectors[seeds]
    counts = vectors.new_zeros(size)
    for _ in range(iterations):
        sums, counts = assigned_sums(vectors, nearest(vectors, means), size)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    return means, counts
