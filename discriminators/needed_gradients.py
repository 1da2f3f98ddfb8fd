"""Which gradients a backward pass of an operator of ours needs."""

from typing import Any

import torch


def is_needed(ctx: Any, index: int) -> bool:
    """Whether this backward pass needs the gradient of an input tensor, as torch's own operators decide it.

    ``needs_input_grad`` only tells whether some backward pass could need it: ``autograd.grad`` for the audio alone
    leaves the weights' gradients out.

    Args:
        ctx: context of the operator's backward function, whose first inputs are tensors.
        index: position of the input among them.
    """
    if not ctx.needs_input_grad[index]:
        return False
    try:
        return bool(torch._C._will_engine_execute_node(ctx.next_functions[index][0]))
    except RuntimeError:  # torch raises for a leaf whose gradient is requested
        return True
