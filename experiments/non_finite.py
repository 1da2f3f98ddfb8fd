"""What happens when a loss becomes NaN or infinite: the run stops, and keeps what explains it."""

import math

import torch
from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import save
from torch import Tensor

from codeclab.benchmarks.files import write_atomically
from codeclab.experiments.run_folder import RunFolder
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


def report_non_finite(error: NonFiniteLossError, folder: RunFolder) -> str:
    """Save the batch in the run's folder and say what to do; one process of several speaks for all."""
    rank = getattr(rank_zero_only, "rank", 0)
    if rank:
        return f"codeclab fit: process {rank} stopped with the others."
    path = folder.path / f"non_finite_batch_{error.batch}.safetensors"
    write_atomically(path, save({"audio": error.audio.contiguous()}))
    kept = (
        f"The last good checkpoint is {folder.last}: the same command continues from it."
        if folder.last.is_file()
        else "No checkpoint had been written yet."
    )
    return (
        f"codeclab fit: stopped: {error}.\nThe batch is kept in {path}.\n{kept}\n"
        "If it happens again, lower --model.optimizer.lr, set --model.optimizer.clip_norm, or look at the batch."
    )
