"""One tensor for several networks, whose gradients are added at once."""

from typing import Any

import torch
from torch import Tensor


class _FanOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, count: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for _ in range(count))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, None]:
        given = [gradient for gradient in gradients if gradient is not None]
        return given[0] if len(given) == 1 else torch.stack(given).sum(0), None


def fan_out(tensor: Tensor, count: int) -> tuple[Tensor, ...]:
    """A view of a tensor for each of ``count`` networks.

    Autograd would add the networks' gradients one after another, each addition an operation of its own.
    """
    if count < 2 or not tensor.requires_grad or not torch.is_grad_enabled():
        return (tensor,) * count
    views: tuple[Tensor, ...] = _FanOut.apply(tensor, count)
    return views
