"""Random draws that are a function of a key, not of earlier draws."""

import numpy as np
import torch
from torch import Tensor

from codeclab.quantizers.distributed import batch_span


def seeded_generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose draws depend on ``key`` (non-negative numbers, such as seed, layer and step) and the device."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))


def uniform_like(latent: Tensor, shape: tuple[int, ...], *key: int) -> Tensor:
    """Uniform numbers in [0, 1), ``[B, *shape]``, for the items of ``latent [B, ...]``, drawn on its device.

    In a distributed run, each process takes the part of its items from the draw for the whole batch; a collective
    operation. ``key`` is as for ``seeded_generator``.
    """
    start, items = batch_span(len(latent), latent.device)
    generator = seeded_generator(*key, device=latent.device)
    drawn = torch.rand(items, *shape, generator=generator, device=latent.device)
    return drawn[start : start + len(latent)]
