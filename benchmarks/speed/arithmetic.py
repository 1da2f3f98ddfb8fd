"""The arithmetic of a task and the bytes that it moves."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Arithmetic(TorchDispatchMode):
    """Counts, inside ``with``, what the operators do, backward passes included.

    ``FlopCounterMode`` has the same formulas; its hooks on modules fail in ``torch.autograd.grad``, which balanced and
    weighted losses need.

    Attributes:
        flop: multiplications and additions of matrix products and convolutions (``torch.utils.flop_counter``).
        bytes: bytes that operators read and write, each for itself, as if no cache held anything; a view moves none.
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
