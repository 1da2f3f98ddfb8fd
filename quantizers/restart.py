"""New vectors for entries that nothing chooses any more."""

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_reduce_sum, batch_span, take_rows
from codeclab.quantizers.kmeans import draw_indices

DECAY = 0.99
"""Of the running counts."""


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
    """Count which entries a batch chose, and put random vectors of it in place of those out of use.

    An entry is out of use when its running count is below ``threshold``, or below ``share`` of the mean count where
    batches are so small that the mean itself is near the threshold. A replacement starts with the mean count. In a
    distributed run counts are summed and vectors drawn over all processes; a collective operation.

    Args:
        entries: ``[size, d]``, changed in place.
        counts: running vectors per batch of each entry, ``[size]``, changed in place.
        vectors: ``[N, d]`` that were quantized; a process may have none.
        codes: ``int64 [N]``, the entries they chose.
        threshold: vectors per batch.
        share: of the mean count.
        generator: of the draw; the same on every process.
    """
    chosen = torch.bincount(codes, minlength=len(entries)).to(counts.dtype)
    counts.lerp_(all_reduce_sum(chosen), 1 - DECAY)
    mean = counts.mean()
    unused = counts < torch.clamp(mean * share, max=threshold)
    start, available = batch_span(len(vectors), vectors.device)
    # One candidate for every entry, used or not: asking how many are unused would make a GPU wait.
    drawn = draw_indices(available, len(entries), generator).to(vectors.device, non_blocking=True)
    entries.copy_(torch.where(unused[:, None], take_rows(vectors, drawn, start), entries))
    counts.copy_(torch.where(unused, mean, counts))
