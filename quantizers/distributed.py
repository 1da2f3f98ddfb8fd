"""Sums and gathers over the processes of a distributed run; without one, they return their input."""

import torch
from torch import Tensor
from torch import distributed as dist


def is_distributed() -> bool:
    """Whether a process group with more than one process is initialized."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world_size() -> int:
    """Number of processes; 1 without a process group."""
    return dist.get_world_size() if is_distributed() else 1


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Sum over processes, without gradient; ``tensor`` itself when not distributed. It is never modified."""
    if not is_distributed():
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def all_reduce_mean(tensor: Tensor) -> Tensor:
    """Mean over processes, without gradient; ``tensor`` itself when not distributed. It is never modified."""
    return all_reduce_sum(tensor) / world_size() if is_distributed() else tensor


def all_gather_batch(tensor: Tensor) -> Tensor:
    """The tensors of all processes joined along dim 0 in rank order, without gradient.

    Rank ``r`` holds items ``[r * b, (r + 1) * b)`` of the global batch: the result is the batch one process would see.

    Args:
        tensor: ``[n, ...]``; ``n`` may differ between processes, zero included, the other sizes may not.

    Returns:
        ``[sum of n, ...]``, the same on every process; ``tensor`` itself when not distributed.
    """
    if not is_distributed():
        return tensor
    tensor = tensor.detach()
    length = torch.tensor([tensor.shape[0]], device=tensor.device)
    lengths = [torch.empty_like(length) for _ in range(world_size())]
    dist.all_gather(lengths, length)
    sizes = [int(size) for size in lengths]
    # ``all_gather`` needs equal shapes on all processes: pad to the longest, and cut the padding off afterwards.
    padded = tensor.new_zeros((max(sizes), *tensor.shape[1:]))
    padded[: tensor.shape[0]] = tensor
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])


def batch_span(length: int, device: torch.device) -> tuple[int, int]:
    """The position of this process's first row in the gathered batch, and the number of rows of that batch."""
    return batch_spans([length], device)[0]


def batch_spans(lengths: list[int], device: torch.device) -> list[tuple[int, int]]:
    """``batch_span`` of several batches of ``lengths`` rows, in one collective."""
    if not is_distributed():
        return [(0, length) for length in lengths]
    mine = torch.tensor([lengths], device=device)
    spans = all_gather_batch(mine).T.tolist()
    rank = dist.get_rank()
    return [(sum(each[:rank]), sum(each)) for each in spans]


def take_rows(tensor: Tensor, indices: Tensor, start: int) -> Tensor:
    """Rows ``indices`` of the gathered batch, the same on every process, without gathering the other rows.

    Args:
        tensor: this process's rows ``[n, ...]``.
        indices: ``int64 [m]``, positions in the gathered batch.
        start: position of this process's first row in the gathered batch (``batch_span``).
    """
    if not is_distributed():
        return tensor.detach()[indices]
    inside = (indices >= start) & (indices < start + tensor.shape[0])
    # Each process fills in the rows that it holds and leaves the others zero, so that the sum is the selection.
    rows = tensor.new_zeros((indices.shape[0], *tensor.shape[1:]))
    rows[inside] = tensor.detach()[indices[inside] - start]
    return all_reduce_sum(rows)
