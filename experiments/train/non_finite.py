"""What happens when a loss becomes NaN or infinite: the run stops, and keeps what explains it."""

import math

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_gather_batch, all_reduce_mean


class NonFiniteLossError(RuntimeError):
    """A loss, or the norm of a gradient, became NaN or infinite.

    Args:
        figures: what is not finite, by name, in the order of computation.
        batch: index of the batch.
        audio: the batch of all processes, ``[B, C, N]``.
    """

    def __init__(self, figures: dict[str, float], batch: int, audio: Tensor) -> None:
        listed = ", ".join(f"{name} is {value}" for name, value in figures.items())
        super().__init__(f"not finite at batch {batch}: {listed}")
        self.figures = figures
        self.batch = batch
        self.audio = audio


def finite_figures(figures: dict[str, Tensor], batch: int, audio: Tensor) -> dict[str, float]:
    """The figures of a batch as numbers, their means over processes; waits for the device once.

    The mean makes every process see what one of them saw, so that all stop together instead of one waiting for ever.

    Args:
        figures: scalars by name.
        batch: index of the batch.
        audio: this process's share of it, ``[B, C, N]``.

    Raises:
        NonFiniteLossError: one is NaN or infinite.
    """
    values = all_reduce_mean(torch.stack([value.detach().float() for value in figures.values()])).tolist()
    numbers = dict(zip(figures, values, strict=True))
    broken = {name: value for name, value in numbers.items() if not math.isfinite(value)}
    if broken:
        raise NonFiniteLossError(broken, batch, all_gather_batch(audio).cpu())
    return numbers
