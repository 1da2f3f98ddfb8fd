"""Layers as they are computed when coding, where no gradient is wanted.

On a CPU, tensors ``[B, C, n]`` lie in memory as ``[B, n, C]``, the channels of one time step side by side: convolutions
are up to 1.6 times as fast as with the samples of one channel side by side, those of one tap and transposed ones are
matrix products, and time steps are put before and after others without moving these. Snake works on pieces that fit
the processor's cache. Elsewhere, torch's own layers and its usual order.
"""

from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.codecs.layers.activation import Snake

CACHED = 65_536
"""Numbers that Snake's four steps take at once."""

FEW_CHANNELS = 2
"""Audio's: convolutions from so few are products with all taps of a window."""


def empty(like: Tensor, length: int) -> Tensor:
    """Room for ``[B, C, length]``, of the type and on the device of ``like [B, C, n]``."""
    batch, channels, _ = like.shape
    if like.device.type == "cpu":
        return like.new_empty(batch, length, channels).mT
    return like.new_empty(batch, channels, length)


def joined(before: Tensor | None, x: Tensor) -> Tensor:
    """``[B, C, n]`` after what came before it."""
    if before is None or before.shape[-1] == 0:
        return x
    return torch.cat([before.mT, x.mT], dim=1).mT if x.device.type == "cpu" else torch.cat([before, x], dim=-1)


@torch.no_grad()
def lay_out(network: nn.Module) -> None:
    """Order the weights of convolutions in memory as coding on a CPU reads them, which otherwise copies them each time.

    Shapes and values stay. Weights that are computed, as by weight norm, are left as they are.

    Args:
        network: on the CPU.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d) or parametrize.is_parametrized(module):
            continue
        if module.in_channels > FEW_CHANNELS or isinstance(module, nn.ConvTranspose1d):
            module.weight.data = module.weight.data.mT.contiguous().mT


class Product:
    """A convolution of one tap: a matrix product for each time step, which can be added to something meanwhile.

    Args:
        module: the convolution.
    """

    def __init__(self, module: nn.Conv1d) -> None:
        self._module, self.bias = module, detached(module.bias)

    @cached_property
    def weight(self) -> Tensor:
        """``[C', C]``."""
        return self._module.weight.detach()[..., 0]

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, n]`` to ``[B, C', n]``."""
        return F.linear(x.mT, self.weight, self.bias).mT

    def onto(self, total: Tensor | None, x: Tensor, owned: bool) -> Tensor:
        """``total [B, C', n]``, or nothing, and the product without its bias.

        Args:
            total: what is added to.
            x: ``[B, C, n]``.
            owned: whether ``total`` may be overwritten.
        """
        if total is None:
            return F.linear(x.mT, self.weight).mT
        batch, steps, _ = x.mT.shape
        before, flat, matrix = total.mT.flatten(0, 1), x.mT.flatten(0, 1), self.weight.mT
        if owned and before.dtype == flat.dtype == matrix.dtype:
            return before.addmm_(flat, matrix).unflatten(0, (batch, steps)).mT
        return torch.addmm(before, flat, matrix).unflatten(0, (batch, steps)).mT


class Prepared:
    """A layer whose weights are brought into shape once something comes, and not before.

    Args:
        prepare: gives the layer as a function.
    """

    def __init__(self, prepare: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        self._prepare = prepare

    @cached_property
    def _function(self) -> Callable[[Tensor], Tensor]:
        return self._prepare()

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, n]`` to ``[B, C', m]``."""
        return self._function(x)


def convolution(module: nn.Conv1d) -> Callable[[Tensor], Tensor]:
    """A convolution without its padding, from ``[B, C, n]`` to ``[B, C', m]``."""
    pointwise = (module.kernel_size, module.stride, module.groups) == ((1,), (1,), 1)
    if pointwise and next(module.parameters()).device.type == "cpu":
        return Product(module)
    return Prepared(lambda: _convolution(module))


def transposed_convolution(module: nn.ConvTranspose1d) -> Callable[[Tensor], Tensor]:
    """A transposed convolution without bias and padding, from ``[B, C, n]`` to ``[B, C', (n - 1) stride + taps]``."""
    return Prepared(lambda: _transposed_convolution(module))


def _convolution(module: nn.Conv1d) -> Callable[[Tensor], Tensor]:
    weight, bias = module.weight.detach(), detached(module.bias)
    (stride,), (dilation,), (taps,) = module.stride, module.dilation, module.kernel_size
    groups = module.groups
    if weight.device.type != "cpu":
        return lambda x: F.conv1d(x, weight, bias, stride, 0, dilation, groups)
    if groups == 1 and module.in_channels <= FEW_CHANNELS:
        window = (taps - 1) * dilation + 1
        flat = weight.flatten(1)

        def of_windows(x: Tensor) -> Tensor:
            windows = x.unfold(-1, window, stride)[..., ::dilation]  # [B, C, m, taps]
            return F.linear(windows.transpose(1, 2).flatten(2), flat, bias).mT

        return of_windows
    plane = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return lambda x: F.conv2d(x[:, :, None], plane, bias, (1, stride), 0, (1, dilation), groups)[:, :, 0]


def _transposed_convolution(module: nn.ConvTranspose1d) -> Callable[[Tensor], Tensor]:
    weight = module.weight.detach()
    (stride,), (taps,), (dilation,), groups = module.stride, module.kernel_size, module.dilation, module.groups
    if weight.device.type != "cpu" or groups > 1 or dilation > 1:
        return lambda x: F.conv_transpose1d(x, weight, None, stride, groups=groups, dilation=dilation)
    # Each time step adds to as many strides of the output as its taps reach.
    reach, channels = -(-taps // stride), weight.shape[1]
    filled = F.pad(weight, (0, reach * stride - taps)) if taps % stride else weight
    matrix = filled.mT.flatten(1)  # [C, reach * stride * C']

    def of_products(x: Tensor) -> Tensor:
        batch, _, steps = x.shape
        products = torch.matmul(x.mT, matrix).view(batch, steps, reach, stride * channels)
        added = products.new_empty(batch, steps + reach - 1, stride * channels)
        added[:, :steps] = products[:, :, 0]
        added[:, steps:] = 0
        for place in range(1, reach):
            added[:, place : place + steps] += products[:, :, place]
        return added.view(batch, -1, channels)[:, : (steps - 1) * stride + taps].mT

    return of_products


def activated(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """An activation of ``x [B, C, n]``."""
    if type(activation) not in (nn.ELU, Snake):
        return activation(x)
    out = empty(x, x.shape[-1])
    activate(activation, x, out)
    return out


@torch.no_grad()
def activate(activation: Callable[[Tensor], Tensor] | None, x: Tensor, out: Tensor) -> None:
    """Write an activation of ``x [B, C, n]``, or ``x`` itself, to ``out``."""
    # Of exactly these types: a subclass may compute something else.
    if type(activation) is nn.ELU:
        torch.ops.aten.elu.out(x, activation.alpha, out=out)
    elif type(activation) is Snake and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        _snake(activation, x, out)
    else:
        out.copy_(x if activation is None else activation(x))


def _snake(activation: Snake, x: Tensor, out: Tensor) -> None:
    alpha, inverse = activation.factors()
    steps = max(1, CACHED // max(1, x.shape[0] * x.shape[1]))
    for piece, place in zip(x.split(steps, dim=-1), out.split(steps, dim=-1), strict=True):
        torch.addcmul(piece, inverse, (piece * alpha).sin_().square_(), out=place)


def detached(bias: Tensor | None) -> Tensor | None:
    """Without its gradient."""
    return None if bias is None else bias.detach()
