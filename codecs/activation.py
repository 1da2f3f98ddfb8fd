"""The activations a codec may use, by name."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["snake", "elu", "relu", "leaky_relu"]


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
        # 1e-9 as the released code: alpha may be learnt to zero.
        return torch.addcmul(x, (self.alpha + 1e-9).reciprocal(), torch.sin(self.alpha * x).square())


def make_activation(name: Activation, channels: int) -> nn.Module:
    """An activation by name.

    Args:
        name: ``snake``, ``elu``, ``relu`` or ``leaky_relu`` (slope 0.1).
        channels: channels it will see.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "snake":
        return Snake(channels)
    plain: dict[str, Callable[[], nn.Module]] = {
        "elu": nn.ELU,
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.1),
    }
    if name not in plain:
        raise ValueError(f"no activation {name!r}; there are: snake, {', '.join(plain)}")
    return plain[name]()
