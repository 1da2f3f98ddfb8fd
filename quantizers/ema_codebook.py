"""A codebook learnt without gradient, by running averages of the vectors assigned to each entry."""

import torch
from torch import Tensor, nn

from codeclab.quantizers.distributed import all_gather_batch
from codeclab.quantizers.kmeans import draw_indices, kmeans, nearest
from codeclab.quantizers.randomness import seeded_generator

RANDOM_ENTRIES, KMEANS_SEEDS, REPLACEMENTS = range(3)


class EMACodebook(nn.Module):
    """Entries that follow the vectors assigned to them (van den Oord et al. 2017, A.1; EnCodec, Section 3.2).

    ``ema_update.learn_together`` updates the entries of all codebooks of a quantizer at once. Draws are a function of
    (seed, layer, number of updates), so a resumed run draws what the uninterrupted one would have drawn.

    Args:
        dimension: length of an entry, ``D``.
        size: number of entries.
        decay: decay of the running averages per update, in [0, 1).
        epsilon: constant of the Laplace smoothing of the counts.
        kmeans_init: whether entries start from k-means on the vectors of the first update; otherwise at random.
        kmeans_iterations: iterations of k-means.
        dead_threshold: vectors per batch below which an entry counts as dead; 0 never replaces any.
        dead_share: share of the mean count below which an entry counts as dead, where that is the lower limit.
        seed: seed of every random draw.
        layer: position among a quantizer's codebooks, so that each has its own draws.
    """

    entries: Tensor
    counts: Tensor
    sums: Tensor
    updates: Tensor

    def __init__(
        self,
        dimension: int,
        size: int,
        decay: float,
        epsilon: float,
        kmeans_init: bool,
        kmeans_iterations: int,
        dead_threshold: float,
        dead_share: float,
        seed: int,
        layer: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.decay = decay
        self.epsilon = epsilon
        self.kmeans_init = kmeans_init
        self.kmeans_iterations = kmeans_iterations
        self.dead_threshold = dead_threshold
        self.dead_share = dead_share
        self.seed = seed
        self.layer = layer
        entries = torch.randn(size, dimension, generator=self._generator(0, RANDOM_ENTRIES)) / dimension**0.5
        self.register_buffer("entries", entries)
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", entries.clone())
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def search(self, vectors: Tensor) -> Tensor:
        """Codes ``int64 [N]`` of the entries nearest to ``vectors [N, D]``."""
        return nearest(vectors, self.entries)

    def lookup(self, codes: Tensor) -> Tensor:
        """Entries ``[..., D]`` of ``codes [...]``, a copy that a later update does not change."""
        return nn.functional.embedding(codes, self.entries)

    @torch.no_grad()
    def start(self, vectors: Tensor, updates: int) -> None:
        """Before the first update, initialize by k-means on the ``vectors [N, D]`` of all processes."""
        if updates > 0 or not self.kmeans_init:
            return
        self._cluster(all_gather_batch(vectors), 1.0)

    @torch.no_grad()
    def cluster(self, vectors: Tensor, share: float) -> None:
        """Initialize by k-means on more than a batch; ``start`` does nothing afterwards.

        Args:
            vectors: vectors ``[N, D]`` of all processes.
            share: frames of a batch over ``N``; counts are scaled by it to those of one batch.
        """
        self._cluster(vectors, share)
        self.updates.fill_(1)

    def _cluster(self, vectors: Tensor, share: float) -> None:
        generator = self._generator(0, KMEANS_SEEDS)
        means, counts = kmeans(vectors, self.size, self.kmeans_iterations, generator)
        self.entries.copy_(means)
        self.counts.copy_(counts * share)
        self.sums.copy_(means * self.counts[:, None])

    def draw_replacements(self, available: int, updates: int) -> Tensor:
        """Positions ``int64 [size]`` on the CPU, below ``available``, of a candidate for every entry."""
        return draw_indices(available, self.size, self._generator(updates, REPLACEMENTS))

    def _generator(self, updates: int, purpose: int) -> torch.Generator:
        return seeded_generator(self.seed, self.layer, updates, purpose)
