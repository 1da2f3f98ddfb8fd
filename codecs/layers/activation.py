"""The activations of codecs, by name."""

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Activation = Literal["snake", "elu", "relu", "leaky_relu"]

LEAKY_SLOPE = 0.1

SMALLEST_ALPHA = 1e-9
"""Constant added to Snake's alpha in the divisor, as in the released code, because a learnt alpha can become zero."""


class _Snake(torch.autograd.Function):
    """Snake and its derivatives ``1 + sin(2 alpha x)`` and ``(x sin(2 alpha x) - sin(alpha x)^2 / alpha) / alpha``.

    Autograd would store four maps of the input's size for the backward pass; this stores the input alone.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor) -> Tensor:
        divisor = alpha + SMALLEST_ALPHA
        ctx.save_for_backward(x, alpha, divisor)
        return torch.addcdiv(x, (alpha * x).sin_().square_(), divisor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha, divisor = ctx.saved_tensors
        angle = alpha * x
        sine = angle.sin()
        of_double = angle.mul_(2).sin_()
        to_x = torch.addcmul(gradient, gradient, of_double)
        along_alpha = of_double.mul_(x).addcdiv_(sine.square_(), divisor, value=-1).mul_(gradient)
        return to_x.to(x.dtype), along_alpha.sum((0, 2), keepdim=True).div_(divisor)


class Snake(nn.Module):
    """``x + sin(alpha x)^2 / alpha`` with a learnt ``alpha`` per channel (Improved RVQGAN, section 3.1).

    Args:
        channels: channels of the input ``[B, C, N]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, N]`` to the same shape."""
        if torch.compiler.is_compiling():  # a compiler fuses the formula, and decides what to store
            return torch.addcdiv(x, torch.sin(self.alpha * x).square(), self.alpha + SMALLEST_ALPHA)
        return cast(Tensor, _Snake.apply(x, self.alpha))

    def factors(self) -> tuple[Tensor, Tensor]:
        """``alpha`` and its reciprocal, both ``[1, C, 1]``, without gradients."""
        alpha = self.alpha.detach()
        return alpha, (alpha + SMALLEST_ALPHA).reciprocal()


def make_activation(name: Activation, channels: int) -> nn.Module:
    """An activation by name.

    Args:
        name: name of the activation, ``snake``, ``elu``, ``relu`` or ``leaky_relu`` (slope 0.1).
        channels: channels of its input.

    Raises:
        ValueError: the name is unknown.
    """
    activations: dict[str, Callable[[], nn.Module]] = {
        "snake": lambda: Snake(channels),
        "elu": nn.ELU,
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
    }
    if name not in activations:
        raise ValueError(f"no activation is called {name!r}; there are: {', '.join(activations)}")
    return activations[name]()
