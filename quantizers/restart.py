"""Replacement of codebook entries that are no longer chosen."""

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_reduce_sum, batch_span, take_rows
from codeclab.quantizers.kmeans import draw_indices

DECAY = 0.99
"""Decay of the running counts per batch."""


@torch.no_grad()
def restart_unused(
    entries: Tensor,
    counts: Tensor,
    vectors: Tensor,
    codes: Tensor,
    threshold: float,
    share: float,
    generator: torch.Generator,
) -> None:
    """Update the running counts of chosen entries, and replace dead entries by random vectors of the batch.

    An entry is dead when its running count is below ``threshold``, or below ``share`` of the mean count where batches
    are so small that the mean itself is near the threshold. A replacement starts with the mean count. In a distributed
    run, counts are summed and vectors drawn over all processes; a collective operation.

    Args:
        entries: entries ``[size, d]``, modified in place.
        counts: running mean of vectors per batch of each entry, ``[size]``, modified in place.
        vectors: quantized vectors ``[N, d]``; a process may have none.
        codes: codes of these vectors, ``int64 [N]``.
        threshold: vectors per batch below which an entry is dead.
        share: share of the mean count below which an entry is dead, where that is the lower limit.
        generator: generator of the draw, in the same state on every process.
    """
    chosen = torch.bincount(codes, minlength=len(entries)).to(counts.dtype)
    counts.lerp_(all_reduce_sum(chosen), 1 - DECAY)
    mean = counts.mean()
    dead = counts < torch.clamp(mean * share, max=threshold)
    start, available = batch_span(len(vectors), vectors.device)
    # There is one candidate for every entry, dead or not: counting the dead ones would synchronize with the GPU.
    drawn = draw_indices(available, len(entries), generator).to(vectors.device, non_blocking=True)
    entries.copy_(torch.where(dead[:, None], take_rows(vectors, drawn, start), entries))
    counts.copy_(torch.where(dead, mean, counts))
