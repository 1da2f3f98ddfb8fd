"""The error for a loss that becomes NaN or infinite, which stops the run."""

import math

import torch
from torch import Tensor

from codeclab.quantizers.distributed import all_gather_batch, all_reduce_mean


class NonFiniteLossError(RuntimeError):
    """A loss, or the norm of a gradient, became NaN or infinite.

    Args:
        figures: values that are not finite, by name, in the order of computation.
        batch: index of the batch.
        audio: audio of the global batch, ``[B, C, N]``.
    """

    def __init__(self, figures: dict[str, float], batch: int, audio: Tensor) -> None:
        listed = ", ".join(f"{name} is {value}" for name, value in figures.items())
        super().__init__(f"not finite at batch {batch}: {listed}")
        self.figures = figures
        self.batch = batch
        self.audio = audio


def finite_figures(figures: dict[str, Tensor], batch: int, audio: Tensor) -> dict[str, float]:
    """The scalars of a batch as numbers, means over processes; synchronises with the device once.

    A value that is not finite on one process makes the mean not finite on all. All processes then stop together,
    instead of waiting for ever for the one that stopped.

    Args:
        figures: scalars by name.
        batch: index of the batch.
        audio: this process's part of the batch, ``[B, C, N]``.

    Raises:
        NonFiniteLossError: a scalar is NaN or infinite.
    """
    values = all_reduce_mean(torch.stack([value.detach().float() for value in figures.values()])).tolist()
    numbers = dict(zip(figures, values, strict=True))
    broken = {name: value for name, value in numbers.items() if not math.isfinite(value)}
    if broken:
        raise NonFiniteLossError(broken, batch, all_gather_batch(audio).cpu())
    return numbers
