"""Markers of the parts of a training step, and the callback that times batches and hears the markers.

The step says ``@profile("losses")`` or ``with profile("losses"):``. Where nobody listens, a marker only finds that out:
no clock is read, and nothing on the device is waited for. ``BatchTimer`` listens, on any trainer.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import partial
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

PARTS = (
    *("data", "codec forward", "losses", "discriminators forward"),
    *("output gradients", "balancer", "backward", "optimizers"),
)
"""Where a batch's time is looked for: ``data`` is between two steps, the others are marked in the step."""

REST = "rest"
"""What of a step lies between its parts."""


def now(device: torch.device | None = None) -> float:
    """Seconds, ever growing; where a device is given, once it has done what it was asked."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Parts:
    """Seconds spent in named parts; a part inside another is taken out of that one. It can hear the markers.

    Args:
        clock: seconds, ever growing.
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._mark = 0.0

    def enter(self, part: str) -> None:
        """What follows belongs to a part."""
        self._take()
        self._inside.append(part)

    def leave(self) -> None:
        """What follows belongs to the part around."""
        self._take()
        self._inside.pop()

    def start(self) -> None:
        """Hear the markers from now on, in place of who heard them before; what lies between them is the rest."""
        self.enter(REST)
        _listener.set(self)

    def stop(self) -> None:
        """Hear no marker any more."""
        _listener.set(None)
        self.leave()

    def take(self) -> dict[str, float]:
        """The seconds so far, which begin anew."""
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken

    @property
    def listens(self) -> bool:
        """Whether it hears the markers."""
        return _listener.get() is self

    def _take(self) -> None:
        moment = self.clock()
        if self._inside:
            self.seconds[self._inside[-1]] += moment - self._mark
        self._mark = moment


_listener: ContextVar[Parts | None] = ContextVar("listener", default=None)


class profile(ContextDecorator):  # noqa: N801 (reads as the function that it replaces)
    """Marks a part of the training step, as a context or as a decorator.

    Args:
        part: one of ``PARTS``.
    """

    def __init__(self, part: str) -> None:
        self.part = part

    def __enter__(self) -> None:
        parts = _listener.get()
        if parts is not None:
            parts.enter(self.part)

    def __exit__(self, *raised: object) -> None:
        parts = _listener.get()
        if parts is not None:
            parts.leave()


class BatchTimer(Callback):
    """Times the batches of a training; the device is waited for at the end of each.

    Args:
        apart_from: batches before those that are taken apart, for which the device is also waited for at every seam;
            None takes none apart.

    Attributes:
        waited: seconds between the end of the batch before, or the start of the training, and the batch's start.
        worked: seconds from a batch's start to its end.
        parts: of the batches taken apart.
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
        """Of each batch, from the end of the one before to its own."""
        return [waited + worked for waited, worked in zip(self.waited, self.worked, strict=True)]

    def shares(self) -> dict[str, float]:
        """Of each part, and of the rest, in the time of the batches taken apart; they add up to 1."""
        seconds = {**self.parts.seconds, "data": sum(self.waited[self.apart_from :])}
        total = sum(seconds.values())
        return {part: seconds.get(part, 0.0) / total for part in (*PARTS, REST)}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.parts.clock = partial(now, trainer.strategy.root_device)
        self._mark = self.parts.clock()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The wait for data is over."""
        began = self.parts.clock() if self._apart else now()
        self.waited.append(began - self._mark)
        self._mark = began
        if self._apart:
            self.parts.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The batch is done, on the device too."""
        if self.parts.listens:
            self.parts.stop()
        ended = self.parts.clock()
        self.worked.append(ended - self._mark)
        self._mark = ended

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Listen no longer."""
        if self.parts.listens:
            self.parts.stop()
