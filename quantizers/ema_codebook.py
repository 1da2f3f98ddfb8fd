"""A codebook learnt without gradient, by running averages of the vectors that chose each entry."""

import torch
from torch import Tensor, nn

from codeclab.quantizers.distributed import all_gather_batch, all_reduce_sum, batch_span, take_rows
from codeclab.quantizers.kmeans import assigned_sums, draw_indices, kmeans, nearest
from codeclab.quantizers.randomness import seeded_generator

RANDOM_ENTRIES, KMEANS_SEEDS, REPLACEMENTS = range(3)


class EMACodebook(nn.Module):
    """Entries that follow the vectors assigned to them (van den Oord et al. 2017, A.1; EnCodec, Section 3.2).

    One update with a batch that assigns ``n_i`` vectors of sum ``s_i`` to entry ``i``::

        counts_i <- decay counts_i + (1 - decay) n_i
        sums_i   <- decay sums_i   + (1 - decay) s_i
        entry_i   = sums_i / ((counts_i + epsilon) / (total + size epsilon) total),  total = sum_i counts_i

    Entries out of use are then replaced by vectors of the batch. An entry is out of use when its running count is below
    ``dead_threshold``, or below ``dead_share`` of the mean count where batches are so small that the mean itself is
    near the threshold (an absolute threshold would then replace the whole codebook at every step). A replacement starts
    with the mean count, and the sum that goes with it: it is in use at the next step, and an average in no hurry to
    move.

    In a distributed run statistics are summed over processes, and start and replacements are drawn from the vectors
    of all of them: every process holds the codebook that one process would learn from the whole batch. Draws are a
    function of (seed, layer, number of updates), so a resumed run draws what the uninterrupted one would have.

    Args:
        dimension: length of an entry, ``D``.
        size: number of entries.
        decay: of the running averages.
        epsilon: of the Laplace smoothing of the counts.
        kmeans_init: start from k-means on the vectors of the first update; otherwise from random entries.
        kmeans_iterations: rounds of k-means.
        dead_threshold: vectors per batch below which an entry is out of use; 0 never replaces.
        dead_share: share of the mean count below which it is, where that is less.
        seed: of every random draw.
        layer: position among a quantizer's codebooks, so that they draw apart.
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
        """Entries ``[..., D]`` of ``codes [...]``; their own memory, which a later update leaves alone."""
        return nn.functional.embedding(codes, self.entries)

    @torch.no_grad()
    def start(self, vectors: Tensor, updates: int) -> None:
        """Before the first update, start from k-means on the ``vectors [N, D]`` of all processes."""
        if updates > 0 or not self.kmeans_init:
            return
        self._cluster(all_gather_batch(vectors), 1.0)

    @torch.no_grad()
    def cluster(self, vectors: Tensor, share: float) -> None:
        """Start from k-means on more than a batch, once and for all.

        Args:
            vectors: ``[N, D]`` of all processes.
            share: frames of a batch over ``N``; counts are scaled by it, to what a batch would have assigned.
        """
        self._cluster(vectors, share)
        self.updates.fill_(1)

    def _cluster(self, vectors: Tensor, share: float) -> None:
        generator = self._generator(0, KMEANS_SEEDS)
        means, counts = kmeans(vectors, self.size, self.kmeans_iterations, generator)
        self.entries.copy_(means)
        self.counts.copy_(counts * share)
        self.sums.copy_(means * self.counts[:, None])

    @torch.no_grad()
    def learn(self, vectors: Tensor, codes: Tensor, updates: int) -> None:
        """Update the entries; a collective operation in a distributed run.

        Args:
            vectors: ``[N, D]``; a process may have none.
            codes: ``int64 [N]``, what ``search`` gave for them.
            updates: the value of ``self.updates``, read by the caller for all codebooks at once.
        """
        sums, counts = assigned_sums(vectors, codes, self.size)
        statistics = all_reduce_sum(torch.cat([sums, counts[:, None]], dim=1))
        self.sums.lerp_(statistics[:, :-1], 1 - self.decay)
        self.counts.lerp_(statistics[:, -1], 1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + self.size * self.epsilon) * total
        # An entry that k-means left empty has no sum to be the mean of: it waits, unchanged, for its replacement.
        self.entries.copy_(torch.where(self.counts[:, None] > 0, self.sums / smoothed[:, None], self.entries))
        self._replace_unused(vectors, updates)
        self.updates.add_(1)

    def _replace_unused(self, vectors: Tensor, updates: int) -> None:
        start, available = batch_span(len(vectors), vectors.device)
        mean = self.counts.mean()
        unused = self.counts < torch.clamp(mean * self.dead_share, max=self.dead_threshold)
        # One candidate for every entry, used or not: asking how many are unused would make a GPU wait.
        drawn = draw_indices(available, self.size, self._generator(updates, REPLACEMENTS))
        candidates = take_rows(vectors, drawn.to(vectors.device, non_blocking=True), start)
        self.entries.copy_(torch.where(unused[:, None], candidates, self.entries))
        self.sums.copy_(torch.where(unused[:, None], candidates * mean, self.sums))
        self.counts.copy_(torch.where(unused, mean, self.counts))

    def _generator(self, updates: int, purpose: int) -> torch.Generator:
        return seeded_generator(self.seed, self.layer, updates, purpose)
