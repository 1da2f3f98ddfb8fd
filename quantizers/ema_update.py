"""One update of the running averages of several codebooks, with the number of operations of one."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_reduce_sum, batch_spans
from codeclab.quantizers.ema_codebook import EMACodebook
from codeclab.quantizers.host_work import to_device
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

    Dead entries are then replaced by vectors of the batch. An entry is dead when its running count is below
    ``dead_threshold``, or below ``dead_share`` of the mean count where batches are so small that the mean itself is
    near the threshold (an absolute threshold would then replace the whole codebook at every step). A replacement starts
    with the mean count and the corresponding sum, so that it is not dead at the next step and moves slowly.

    In a distributed run, statistics are summed over processes, and replacements are drawn from the vectors of all
    processes. Every process then holds the codebooks that one process would learn from the whole batch. This is a
    collective operation with as many calls for all codebooks as for one. Nothing is read back from a GPU.

    Args:
        codebooks: codebooks of one size and with equal settings.
        vectors: vectors that each codebook quantized, ``[N, D]``; ``N`` may differ, and a process may have none.
        codes: codes of these vectors, ``int64 [N]`` for each codebook, from its ``search``.
        updates: number of updates of at least these codebooks so far, on the host; where the step is recorded, it is
            read anew for each batch.
    """
    first, size, number = codebooks[0], codebooks[0].size, len(codebooks)
    rows = torch.cat([part.detach() for part in vectors])
    # All codebooks are one codebook of ``number * size`` entries: codes of codebook ``i`` are offset by ``i * size``.
    offset = torch.cat(torch._foreach_add(list(codes), [index * size for index in range(number)]))
    statistics = torch.cat([part.view(number, size, -1) for part in assigned_sums(rows, offset, number * size)], dim=2)
    statistics = all_reduce_sum(statistics)
    sums = torch.stack([codebook.sums for codebook in codebooks]).lerp_(statistics[..., :-1], 1 - first.decay)
    counts = torch.stack([codebook.counts for codebook in codebooks]).lerp_(statistics[..., -1], 1 - first.decay)
    total = counts.sum(1, keepdim=True)
    smoothed = (counts + first.epsilon) / (total + size * first.epsilon) * total
    entries = torch.stack([codebook.entries for codebook in codebooks])
    # An entry to which k-means assigned no vector has count 0 and no mean; it stays unchanged until it is replaced.
    entries = torch.where(counts[..., None] > 0, sums / smoothed[..., None], entries)
    mean = counts.mean(1, keepdim=True)
    dead = counts < torch.clamp(mean * first.dead_share, max=first.dead_threshold)
    # There is one candidate for every entry, dead or not: counting the dead ones would synchronize with the GPU.
    candidates = _draw(codebooks, rows, [len(part) for part in vectors], updates)
    entries = torch.where(dead[..., None], candidates, entries)
    sums = torch.where(dead[..., None], candidates * mean[..., None], sums)
    counts = torch.where(dead, mean, counts)
    torch._foreach_copy_([codebook.entries for codebook in codebooks], list(entries))
    torch._foreach_copy_([codebook.sums for codebook in codebooks], list(sums))
    torch._foreach_copy_([codebook.counts for codebook in codebooks], list(counts))
    torch._foreach_add_([codebook.updates for codebook in codebooks], 1)


def _draw(codebooks: Sequence[EMACodebook], rows: Tensor, lengths: list[int], updates: Sequence[int]) -> Tensor:
    """Vectors drawn from the batch of all processes, one per entry, ``[K, size, D]``; ``rows`` are this process's."""
    spans = batch_spans(lengths, rows.device)
    starts, available = zip(*spans, strict=True)
    no_row = len(rows)

    def positions() -> Tensor:
        numbers = updates[: len(codebooks)]
        drawn = torch.stack(
            [
                codebook.draw_replacements(count, number)
                for codebook, count, number in zip(codebooks, available, numbers, strict=True)
            ]
        )
        # From positions among the vectors of all processes to rows of this one; codebook by codebook they lie one
        # after the other.
        first = torch.tensor([0, *accumulate(lengths[:-1])])[:, None]
        ends = torch.tensor(lengths)[:, None]
        own = drawn - torch.tensor(starts)[:, None]
        return torch.where((own >= 0) & (own < ends), own + first, no_row)

    # A vector of another process is a row of zeros here, so that the sum over processes is the drawn vector.
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    return all_reduce_sum(padded[to_device(positions, rows.device)])
