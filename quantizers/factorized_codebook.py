"""One stage of factorized VQ: a codebook of low dimension between two projections."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from codeclab.quantizers.kmeans import assigned_sums, half_squares, kmeans, nearest

KMEANS_ITERATIONS = 10


class FactorizedCodebook(nn.Module):
    """One stage: project down, look up the entry of most similar direction, project up.

    Args:
        dimension: channels ``D`` of the latent.
        size: number of entries.
        codebook_dim: length of an entry.
        normalize: whether the search compares directions; otherwise Euclidean distances.
        simvq: whether entries are fixed vectors times a learnt matrix.
    """

    def __init__(self, dimension: int, size: int, codebook_dim: int, normalize: bool, simvq: bool) -> None:
        super().__init__()
        self.normalize = normalize
        self.in_proj = parametrizations.weight_norm(nn.Conv1d(dimension, codebook_dim, 1))
        self.out_proj = parametrizations.weight_norm(nn.Conv1d(codebook_dim, dimension, 1))
        self.codebook = nn.Embedding(size, codebook_dim)
        self.transform: nn.Module = nn.Identity()
        if simvq:
            self.codebook.weight.requires_grad_(False)
            self.transform = nn.Linear(codebook_dim, codebook_dim, bias=False)
            nn.init.eye_(self.transform.weight)

    def entries(self) -> Tensor:
        """All entries, ``[size, d]``."""
        return self.transform(self.codebook.weight)

    @torch.no_grad()
    def start(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Initialize by PCA and k-means.

        Vectors are projected on their principal axes, and entries are means of clusters. Clusters are formed of
        vectors as the search compares them (by direction, with ``normalize``). The length of an entry is the average
        over its cluster. With fewer vectors than entries, or fewer dimensions than axes, the remaining entries and axes
        keep their random values.

        Args:
            vectors: vectors that this stage will quantize, ``[N, D]``.
            generator: generator of the clusters' seeds.
        """
        mean = vectors.mean(0)
        spread = vectors - mean
        axes = torch.linalg.eigh(spread.T @ spread)[1].flip(1)[:, : self.codebook.embedding_dim].T
        inward, outward = self.in_proj.weight.clone(), self.out_proj.weight.clone()
        # A row of zeros has no direction under weight norm. A small share of the random weights keeps every row
        # non-zero.
        inward[: len(axes), :, 0], outward[:, : len(axes), 0] = axes, axes.T + 1e-5 * outward[:, : len(axes), 0]
        self.in_proj.weight, self.out_proj.weight = inward, outward  # weight norm splits them
        cast(Tensor, self.in_proj.bias).copy_(-inward[..., 0] @ mean)
        cast(Tensor, self.out_proj.bias).copy_(mean)
        projected = spread @ inward[..., 0].T
        size = min(self.codebook.num_embeddings, len(vectors))
        means, _ = kmeans(self._compared(projected), size, KMEANS_ITERATIONS, generator)
        sums, counts = assigned_sums(projected, nearest(self._compared(projected), self._compared(means)), size)
        self.codebook.weight[:size] = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)

    @torch.no_grad()
    def search(self, projected: Tensor, table: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Codes ``int64 [B, T]`` of ``projected [B, d, T]``: nearest entry, by default both scaled to unit length.

        Args:
            projected: projected residual ``[B, d, T]``.
            table: this stage's item of ``search_tables``; None computes it.
        """
        batch, _, length = projected.shape
        vectors = self._compared(projected.transpose(1, 2).flatten(0, 1))
        entries, halves = table or search_tables([self])[0]
        return nearest(vectors, entries, halves).view(batch, length)

    def lookup(self, codes: Tensor) -> Tensor:
        """Entries ``[B, d, T]`` of ``codes [B, T]``, as stored, without normalization."""
        return self.transform(self.codebook(codes)).transpose(1, 2)

    def _compared(self, vectors: Tensor) -> Tensor:
        """``vectors [..., d]`` as the search compares them."""
        return F.normalize(vectors, dim=-1) if self.normalize else vectors


@torch.no_grad()
def search_tables(stages: Sequence[FactorizedCodebook]) -> list[tuple[Tensor, Tensor]]:
    """The entries of each stage as the search compares them ``[size, d]``, and their ``half_squares [size]``."""
    entries = [stage.entries() for stage in stages]
    same_shape = len({one.shape for one in entries}) == 1
    groups = [torch.stack(entries)] if same_shape else [one[None] for one in entries]
    compared = [stages[0]._compared(group) for group in groups]
    return [pair for group in compared for pair in zip(group.unbind(), half_squares(group).unbind(), strict=True)]
