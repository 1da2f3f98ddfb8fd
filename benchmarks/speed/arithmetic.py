"""The arithmetic of a piece of work and the bytes that it moves, and what the machine does at most in a second."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from codeclab.benchmarks.speed.device_use import wait_for
from codeclab.benchmarks.speed.in_turns import COPIED
from codeclab.codecs.timing import median_seconds
from codeclab.quantizers.matrix_product import linear

SIDE = 2048
"""Size of the square matrices whose product is the machine's limit."""

REPEATS = 5


class Arithmetic(TorchDispatchMode):
    """Counts, inside ``with``, what the operators do, backward passes included.

    ``FlopCounterMode`` has the same formulas; its hooks on modules fail in ``torch.autograd.grad``, which balanced and
    weighted losses need.

    Attributes:
        flop: multiplications and additions of matrix products and convolutions (``torch.utils.flop_counter``).
        bytes: that operators read and write, each for itself, as if no cache held anything; a view moves none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            self.flop += formula(*args, **kwargs, out_val=result)
        if not function.is_view:
            touched = [one for one in tree_leaves((args, kwargs, result)) if isinstance(one, Tensor)]
            self.bytes += sum(one.numel() * one.element_size() for one in touched)
        return result


@dataclass(frozen=True)
class Limits:
    """What the machine does in a second.

    Attributes:
        flop: of a product of two square float32 matrices of size ``SIDE``.
        bytes: read and written by a copy of 64 MiB.
    """

    flop: float
    bytes: float


def measure_limits(device: torch.device) -> Limits:
    """The limits of a device, as medians.

    Args:
        device: on which they are measured.
    """
    left, right = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device)
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def seconds(work: Callable[[], object]) -> float:
        def waited_for() -> None:
            work()
            wait_for(device)

        return median_seconds(waited_for, REPEATS)

    return Limits(
        2 * SIDE**3 / seconds(lambda: linear(left, right)), 2 * COPIED / seconds(lambda: target.copy_(source))
    )
