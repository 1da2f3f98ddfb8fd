"""The numbers of a batch, and the error for one that becomes NaN or infinite, which stops the run."""

import math
from collections.abc import Callable, Iterator, Mapping

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
    """The scalars of a batch as numbers, means over processes; synchronizes with the device once.

    A value that is not finite on one process makes the mean not finite on all. All processes then stop together,
    instead of waiting for ever for the one that stopped. ``audio`` is this process's part of the batch, ``[B, C, N]``.

    Raises:
        NonFiniteLossError: a scalar is NaN or infinite.
    """
    values = all_reduce_mean(_stacked(figures)).tolist()
    return _checked(dict(zip(figures, values, strict=True)), batch, audio)


class LateFigures(Mapping[str, float]):
    """The scalars of a batch as numbers, which the first look at one of them waits for; of one process.

    They are copied at once, so that a replay of the step may overwrite the scalars.

    Args:
        figures: scalars by name.
        batch: index of the batch.
        audio: audio of the batch, ``[B, C, N]``.
        mark: marks the present moment in the device's work, and returns a function that waits for it.
    """

    def __init__(
        self, figures: dict[str, Tensor], batch: int, audio: Tensor, mark: Callable[[], Callable[[], object]]
    ) -> None:
        self._names = list(figures)
        self._batch = batch
        self._audio = audio
        self._values = _stacked(figures).to("cpu", non_blocking=True)
        self._wait = mark()
        self._numbers: dict[str, float] | None = None

    def check(self) -> dict[str, float]:
        """All numbers, after the device has computed them.

        Raises:
            NonFiniteLossError: one is NaN or infinite.
        """
        if self._numbers is None:
            self._wait()
            numbers = dict(zip(self._names, self._values.tolist(), strict=True))
            self._numbers = _checked(numbers, self._batch, self._audio)
        return self._numbers

    def __getitem__(self, name: str) -> float:
        return self.check()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _stacked(figures: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([value.detach().float() for value in figures.values()])


def _checked(numbers: dict[str, float], batch: int, audio: Tensor) -> dict[str, float]:
    broken = {name: value for name, value in numbers.items() if not math.isfinite(value)}
    if broken:
        raise NonFiniteLossError(broken, batch, all_gather_batch(audio).cpu())
    return numbers
