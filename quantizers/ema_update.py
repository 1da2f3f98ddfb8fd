"""One update of the running averages of several codebooks, in as many operations as of one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_reduce_sum, batch_spans
from codeclab.quantizers.ema_codebook import EMACodebook
from codeclab.quantizers.kmeans import assigned_sums


@torch.no_grad()
def learn_together(
    codebooks: Sequence[EMACodebook], vectors: Sequence[Tensor], codes: Sequence[Tensor], updates: Sequence[int]
) -> None:
    """Update the entries of codebooks of one size (van den Oord et al. 2017, A.1; EnCodec, Section 3.2).

    One update with a batch that assigns ``n_i`` vectors of sum ``s_i`` to entry ``i`` of a codebook::

        counts_i <- decay counts_i + (1 - decay) n_i
        sums_i   <- decay sums_i   + (1 - decay) s_i
        entry_i   = sums_i / ((counts_i + epsilon) / (total + size epsilon) total),  total = sum_i counts_i

    Entries out of use are then replaced by vectors of the batch. An entry is out of use when its running count is below
    ``dead_threshold``, or below ``dead_share`` of the mean count where batches are so small that the mean itself is
    near the threshold (an absolute threshold would then replace the whole codebook at every step). A replacement starts
    with the mean count, and the sum that goes with it: it is in use at the next step, and an average in no hurry to
    move.

    In a distributed run statistics are summed over processes, and replacements are drawn from the vectors of all of
    them: every process holds the codebooks that one process would learn from the whole batch. A collective operation,
    of as many calls for all codebooks as for one. Nothing is read back from a GPU.

    Args:
        codebooks: alike in all but their entries and draws.
        vectors: what each codebook quantized, ``[N, D]``; ``N`` may differ, and a process may have none.
        codes: ``int64 [N]``, what its ``search`` gave for them.
        updates: how many updates each has had, known to the caller without asking the device.
    """
    first, size, number = codebooks[0], codebooks[0].size, len(codebooks)
    rows = torch.cat([part.detach() for part in vectors])
    places = torch.cat(torch._foreach_add(list(codes), [index * size for index in range(number)]))
    statistics = torch.cat([part.view(number, size, -1) for part in assigned_sums(rows, places, number * size)], dim=2)
    statistics = all_reduce_sum(statistics)
    sums = torch.stack([codebook.sums for codebook in codebooks]).lerp_(statistics[..., :-1], 1 - first.decay)
    counts = torch.stack([codebook.counts for codebook in codebooks]).lerp_(statistics[..., -1], 1 - first.decay)
    total = counts.sum(1, keepdim=True)
    smoothed = (counts + first.epsilon) / (total + size * first.epsilon) * total
    entries = torch.stack([codebook.entries for codebook in codebooks])
    # An entry that k-means left empty has no sum to be the mean of: it waits, unchanged, for its replacement.
    entries = torch.where(counts[..., None] > 0, sums / smoothed[..., None], entries)
    mean = counts.mean(1, keepdim=True)
    unused = counts < torch.clamp(mean * first.dead_share, max=first.dead_threshold)
    # One candidate for every entry, used or not: asking how many are unused would make a GPU wait.
    candidates = _draw(codebooks, rows, [len(part) for part in vectors], updates)
    entries = torch.where(unused[..., None], candidates, entries)
    sums = torch.where(unused[..., None], candidates * mean[..., None], sums)
    counts = torch.where(unused, mean, counts)
    torch._foreach_copy_([codebook.entries for codebook in codebooks], list(entries))
    torch._foreach_copy_([codebook.sums for codebook in codebooks], list(sums))
    torch._foreach_copy_([codebook.counts for codebook in codebooks], list(counts))
    torch._foreach_add_([codebook.updates for codebook in codebooks], 1)


def _draw(codebooks: Sequence[EMACodebook], rows: Tensor, lengths: list[int], updates: Sequence[int]) -> Tensor:
    """Vectors of the batch of all processes, one for every entry, ``[K, size, D]``; ``rows`` are this process's."""
    positions, offset = [], 0
    spans = batch_spans(lengths, rows.device)
    for codebook, length, (start, available), number in zip(codebooks, lengths, spans, updates, strict=True):
        drawn = codebook.draw_replacements(available, number) - start
        inside = (drawn >= 0) & (drawn < length)
        positions.append(torch.where(inside, drawn + offset, len(rows)))
        offset += length
    # Those of other processes are rows of zeros here.
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    chosen = padded[torch.stack(positions).to(rows.device, non_blocking=True)]
    return all_reduce_sum(chosen)
