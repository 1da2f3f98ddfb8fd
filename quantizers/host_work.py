"""What a training step takes from the host and counts there, so that a recorded step can do it anew for each batch.

A recorded step, a CUDA graph, launches the same operations on the same memory again, and no Python runs. A step that
may be recorded therefore takes all tensors made on the host by ``to_device``, counts on the host in ``on_host``, and
keeps state in place with ``in_place``. Without a recording they do just what they are given.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor


class HostWork:
    """The host's part in a step, noted while the step runs, to be repeated in the same order before each replay."""

    def __init__(self) -> None:
        self._inputs: list[Tensor] = []
        self._work: list[Callable[[], object]] = []
        self._left: Iterator[Tensor] | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A context in which a step runs, and its host work is done and noted."""
        token = _recording.set(self)
        try:
            yield
        finally:
            _recording.reset(token)

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """A context in which a step is captured: it gets the memory of the noted inputs, and no host work is done.

        Raises:
            RuntimeError: the step takes another number of inputs than the one that was noted.
        """
        self._left = iter(self._inputs)
        try:
            with self.noted():
                yield
            if next(self._left, None) is not None:
                raise RuntimeError("the step took fewer numbers from the host than before")
        finally:
            self._left = None

    def repeat(self) -> None:
        """Do the work of another batch: fill the inputs' memory, and count."""
        for work in self._work:
            work()

    def take(self, make: Callable[[], Tensor], device: torch.device) -> Tensor:
        """Memory on ``device`` that holds what ``make`` returns for the present batch."""
        if self._left is not None:
            memory = next(self._left, None)
            if memory is None:
                raise RuntimeError("the step took more numbers from the host than before")
            return memory
        value = make()
        memory = torch.empty_like(value, device=device).copy_(value, non_blocking=True)
        self._inputs.append(memory)
        self._work.append(lambda: memory.copy_(make(), non_blocking=True))
        return memory

    def do(self, change: Callable[[], object]) -> None:
        """Change something on the host."""
        if self._left is None:
            change()
            self._work.append(change)


_recording: ContextVar[HostWork | None] = ContextVar("recording", default=None)


def is_recorded() -> bool:
    """Whether the present step is noted or captured."""
    return _recording.get() is not None


def to_device(make: Callable[[], Tensor], device: torch.device) -> Tensor:
    """A tensor made on the host, on ``device``.

    Args:
        make: function that makes it from what holds for the present batch, always of one shape and type. It is
            called again before each replay, so it should hold no large tensors.
        device: device of the result.
    """
    host = _recording.get()
    return make().to(device, non_blocking=True) if host is None else host.take(make, device)


def on_host(change: Callable[[], object]) -> None:
    """Change something on the host, now and before each replay."""
    host = _recording.get()
    if host is None:
        change()
    else:
        host.do(change)


def in_place(before: Tensor | None, after: Tensor) -> Tensor:
    """State after a step: ``after``, or where the step is recorded the memory of ``before`` with the values of it."""
    if before is None or before.device != after.device or not is_recorded():
        return after
    return before.copy_(after)
