"""Markers of the parts of a training step, and a callback that times batches and these parts.

The step is marked by ``@profile("losses")`` or ``with profile("losses"):``. Without a listener, a marker does nothing:
it reads no clock and does not synchronize with the device. ``BatchTimer`` is such a listener, for any trainer.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

PARTS = (
    *("data", "codec forward", "losses", "discriminators forward"),
    *("output gradients", "balancer", "backward", "optimizers"),
)
"""Parts of a batch's time: ``data`` is between two steps, the others are marked in the step."""

REST = "rest"
"""Name of the time of a step outside of its parts."""


def now(device: torch.device | None = None) -> float:
    """A monotonic time in seconds; with a CUDA device, after all of its work is done."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Parts:
    """Seconds spent in named parts; a nested part does not count for the outer one. It can listen to the markers.

    Args:
        clock: monotonic clock, seconds.
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._mark = 0.0

    def enter(self, part: str) -> None:
        """Start of a part."""
        self._take()
        self._inside.append(part)

    def leave(self) -> None:
        """End of the current part; the outer one continues."""
        self._take()
        self._inside.pop()

    def start(self) -> None:
        """Start to listen to the markers, instead of an earlier listener; time between parts is ``REST``."""
        self.enter(REST)
        _listener.set(self)

    def stop(self) -> None:
        """Stop to listen to the markers, if it does."""
        if self.listens:
            _listener.set(None)
            self.leave()

    def take(self) -> dict[str, float]:
        """The seconds so far; counting restarts from 0."""
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken

    @property
    def listens(self) -> bool:
        """Whether it listens to the markers."""
        return _listener.get() is self

    def _take(self) -> None:
        moment = self.clock()
        if self._inside:
            self.seconds[self._inside[-1]] += moment - self._mark
        self._mark = moment


_listener: ContextVar[Parts | None] = ContextVar("listener", default=None)


def is_profiled() -> bool:
    """Whether something listens to the markers."""
    return _listener.get() is not None


@contextmanager
def profile(part: str) -> Iterator[None]:
    """Mark a part of the training step, one of ``PARTS``, as a context manager or a decorator."""
    if (parts := _listener.get()) is not None:
        parts.enter(part)
    try:
        yield
    finally:
        if (parts := _listener.get()) is not None:
            parts.leave()


class BatchTimer(Callback):
    """Times the batches of a training; each ends with a synchronization with the device.

    Args:
        apart_from: index of the first batch whose parts are timed, with a synchronization at each marker; None times no
            parts.

    Attributes:
        waited: time from the end of the previous batch, or the start of training, to each batch's start, in seconds.
        worked: time from each batch's start to its end, in seconds.
        parts: times of the parts of the batches from ``apart_from`` on, in seconds.
    """

    def __init__(self, apart_from: int | None = None) -> None:
        self.apart_from = apart_from
        self.waited: list[float] = []
        self.worked: list[float] = []
        self.parts = Parts()
        self._mark = 0.0

    @property
    def _apart(self) -> bool:
        return self.apart_from is not None and len(self.worked) >= self.apart_from

    @property
    def seconds(self) -> list[float]:
        """Seconds from the end of the previous batch to the end of each batch."""
        return [waited + worked for waited, worked in zip(self.waited, self.worked, strict=True)]

    def shares(self) -> dict[str, float]:
        """The share of each part, and of the rest, in the time of the batches from ``apart_from`` on; the sum is 1."""
        seconds = {**self.parts.seconds, "data": sum(self.waited[self.apart_from :])}
        total = sum(seconds.values())
        return {part: seconds.get(part, 0.0) / total for part in (*PARTS, REST)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.parts.clock = partial(now, trainer.strategy.root_device)
        self._mark = self.parts.clock()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End of the wait for data."""
        began = self.parts.clock() if self._apart else now()
        self.waited.append(began - self._mark)
        self._mark = began
        if self._apart:
            self.parts.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """End of the batch, on the device, too."""
        self.parts.stop()
        ended = self.parts.clock()
        self.worked.append(ended - self._mark)
        self._mark = ended

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop to listen to the markers."""
        self.parts.stop()
