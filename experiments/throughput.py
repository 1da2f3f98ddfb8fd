"""How fast training goes, how long it waits for data, and how much memory it takes."""

import sys
import time
from collections.abc import Callable

import torch

GIB = 2**30


class Throughput:
    """Clocks the batches between two readings: waiting for a batch, and working on it.

    Only the host's clock is read, nothing on the device is waited for: over several batches the host keeps pace with
    it. What happens outside both, validation and checkpoints, counts as neither.

    Args:
        clock: seconds, ever growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._mark: float | None = None
        self._reset()

    def _reset(self) -> None:
        self.waited = self.worked = 0.0
        self.items = self.batches = 0

    def fetch(self) -> None:
        """The loader is asked for a batch from now on."""
        self._mark = self.clock()

    def begin(self) -> None:
        """The batch has come."""
        now = self.clock()
        if self._mark is not None:
            self.waited += now - self._mark
        self._mark = now

    def end(self, items: int) -> None:
        """The batch of so many items, over all devices, is done."""
        if self._mark is None:
            return
        self.worked += self.clock() - self._mark
        self._mark = None
        self.items += items
        self.batches += 1

    def read(self) -> dict[str, float]:
        """The figures since the last reading, by the names they are logged under; empty before the first batch."""
        spent = self.waited + self.worked
        figures: dict[str, float] = {}
        if self.batches and spent > 0:
            figures = {
                "speed/items_per_second": self.items / spent,
                "speed/batches_per_second": self.batches / spent,
                "speed/data_wait_share": self.waited / spent,
            }
        self._reset()
        return figures


def memory_figures(device: torch.device) -> dict[str, float]:
    """The most memory used so far, GiB: of this process and, where it trains on a GPU, of that."""
    figures = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        figures["speed/memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
    if device.type == "cuda":
        figures["speed/gpu_memory_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        figures["speed/gpu_memory_reserved_gib"] = torch.cuda.max_memory_reserved(device) / GIB
    return figures
