"""Random draws that are a function of a key, not of what was drawn before."""

import numpy as np
import torch
from torch import Tensor

from codeclab.quantizers.distributed import batch_span


def seeded_generator(*key: int) -> torch.Generator:
    """A CPU generator whose draws depend on ``key`` alone (non-negative numbers, such as seed, layer and step)."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def uniform_like(latent: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1), ``[B, *shape]``, for the items of ``latent [B, ...]`` on its device.

    In a distributed run each process takes its items' part of what one process would draw for the whole batch; a
    collective operation.
    """
    start, items = batch_span(len(latent), latent.device)
    drawn = torch.rand(items, *shape, generator=generator)
    return drawn[start : start + len(latent)].to(latent.device, non_blocking=True)
