"""Layers for coding, without gradients, in a memory layout that is fast on a CPU.

On a CPU, tensors ``[B, C, n]`` are stored as ``[B, n, C]``, with the channels of a time step contiguous. Convolutions
are then up to 1.6 times as fast as with contiguous samples of a channel; those of one tap and transposed ones are
matrix products. Snake works on blocks that fit into the processor's cache. On other devices, these are torch's own
layers in its usual layout.
"""

from collections.abc import Callable
from functools import cache, cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.codecs.layers.activation import Snake
from codeclab.quantizers.matrix_product import linear

CACHED = 65_536
"""Number of values that Snake's four operations process at a time, so that they stay in the cache."""

FEW_CHANNELS = 2
"""Input channels, such as audio's, up to which a convolution is computed as a matrix product over whole windows."""


def empty(like: Tensor, length: int) -> Tensor:
    """An uninitialized ``[B, C, length]`` of the type, device and memory layout of ``like [B, C, n]``."""
    batch, channels, _ = like.shape
    if like.device.type == "cpu":
        return like.new_empty(batch, length, channels).mT
    return like.new_empty(batch, channels, length)


def in_compute_dtype(parameter: Tensor) -> Tensor:
    """A parameter without gradient, in the type that autocast computes in; converted once instead of at each use."""
    kind = parameter.device.type
    if torch.is_autocast_enabled(kind):
        return parameter.detach().to(torch.get_autocast_dtype(kind))
    return parameter.detach()


def joined(before: Tensor | None, x: Tensor) -> Tensor:
    """``before [B, C, m]`` (or None) and ``x [B, C, n]``, joined in time."""
    if before is None or before.shape[-1] == 0:
        return x
    return torch.cat([before.mT, x.mT], dim=1).mT if x.device.type == "cpu" else torch.cat([before, x], dim=-1)


@torch.no_grad()
def lay_out(network: nn.Module) -> None:
    """Order the weights of convolutions in memory as coding on a CPU reads them, which otherwise copies them each time.

    Shapes and values stay. Weights that are computed, as by weight norm, are left as they are.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d) or parametrize.is_parametrized(module):
            continue
        if module.in_channels > FEW_CHANNELS or isinstance(module, nn.ConvTranspose1d):
            module.weight.data = module.weight.data.mT.contiguous().mT


class Product:
    """A convolution of one tap: a matrix product a time step, which can be added to a tensor in one operation."""

    def __init__(self, module: nn.Conv1d) -> None:
        self._module = module

    @cached_property
    def bias(self) -> Tensor | None:
        """``[C']``, if there is one."""
        return None if self._module.bias is None else in_compute_dtype(self._module.bias)

    @cached_property
    def weight(self) -> Tensor:
        """``[C', C]``."""
        return in_compute_dtype(self._module.weight)[..., 0]

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, n]`` to ``[B, C', n]``."""
        return linear(x.mT, self.weight, self.bias).mT

    def onto(self, total: Tensor | None, x: Tensor, owned: bool) -> Tensor:
        """The sum of ``total [B, C', n]`` and the product, without the bias.

        Args:
            total: first summand ``[B, C', n]``; None is zero.
            x: input of the product ``[B, C, n]``.
            owned: whether ``total`` may be overwritten.
        """
        product = linear(x.mT, self.weight).mT
        if total is None:
            return product
        return total.add_(product) if owned and total.dtype == product.dtype else product.add_(total)


def convolution(module: nn.Conv1d) -> Callable[[Tensor], Tensor]:
    """A convolution without its padding, from ``[B, C, n]`` to ``[B, C', m]``."""
    pointwise = (module.kernel_size, module.stride, module.groups) == ((1,), (1,), 1)
    if pointwise and next(module.parameters()).device.type == "cpu":
        return Product(module)
    prepared = cache(lambda: _convolution(module))  # weights are rearranged at the first call, and not before
    return lambda x: prepared()(x)


def transposed_convolution(module: nn.ConvTranspose1d) -> Callable[[Tensor], Tensor]:
    """A transposed convolution without bias and padding, from ``[B, C, n]`` to ``[B, C', (n - 1) stride + taps]``."""
    prepared = cache(lambda: _transposed_convolution(module))
    return lambda x: prepared()(x)


def _convolution(module: nn.Conv1d) -> Callable[[Tensor], Tensor]:
    weight, bias = in_compute_dtype(module.weight), None if module.bias is None else in_compute_dtype(module.bias)
    (stride,), (dilation,), (taps,) = module.stride, module.dilation, module.kernel_size
    groups = module.groups
    if weight.device.type != "cpu":
        return lambda x: F.conv1d(x, weight, bias, stride, 0, dilation, groups)
    if groups == 1 and module.in_channels <= FEW_CHANNELS:
        window = (taps - 1) * dilation + 1
        flat = weight.flatten(1)

        # Torch's kernels vectorise over input channels, of which there are one or two: a product over all taps of a
        # window at once fills the vectors.
        def of_windows(x: Tensor) -> Tensor:
            windows = x.unfold(-1, window, stride)[..., ::dilation]  # [B, C, m, taps]
            return linear(windows.transpose(1, 2).flatten(2), flat, bias).mT

        return of_windows
    # Torch has kernels for channels-last layouts in two dimensions only: time is the width of an image of height 1.
    plane = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return lambda x: F.conv2d(x[:, :, None], plane, bias, (1, stride), 0, (1, dilation), groups)[:, :, 0]


def _transposed_convolution(module: nn.ConvTranspose1d) -> Callable[[Tensor], Tensor]:
    weight = in_compute_dtype(module.weight)
    (stride,), (taps,), (dilation,), groups = module.stride, module.kernel_size, module.dilation, module.groups
    if weight.device.type != "cpu" or groups > 1 or dilation > 1:
        return lambda x: F.conv_transpose1d(x, weight, None, stride, groups=groups, dilation=dilation)
    # Each time step adds to ``reach`` strides of the output, such as two where the kernel is two strides long:
    #
    #     step 0   [  a0  |  b0  ]
    #     step 1          [  a1  |  b1  ]
    #     output   [  a0  |b0+a1 |  b1  ]
    #
    # One matrix product gives all of a and b. Each of the ``reach`` parts is then shifted by its number of strides and
    # added. A kernel that is no multiple of the stride is filled up with zeros, which are cut off at the end.
    reach, channels = -(-taps // stride), weight.shape[1]
    filled = F.pad(weight, (0, reach * stride - taps)) if taps % stride else weight
    matrix = filled.mT.flatten(1).mT  # [reach * stride * C', C]

    def of_products(x: Tensor) -> Tensor:
        batch, _, steps = x.shape
        products = linear(x.mT, matrix).view(batch, steps, reach, stride * channels)
        added = products.new_empty(batch, steps + reach - 1, stride * channels)
        added[:, :steps] = products[:, :, 0]
        added[:, steps:] = 0
        for shift in range(1, reach):
            added[:, shift : shift + steps] += products[:, :, shift]
        return added.view(batch, -1, channels)[:, : (steps - 1) * stride + taps].mT

    return of_products


def activated(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The output of an activation for ``x [B, C, n]``."""
    if type(activation) not in (nn.ELU, Snake):
        return activation(x)
    out = empty(x, x.shape[-1])
    activate(activation, x, out)
    return out


@torch.no_grad()
def activate(activation: Callable[[Tensor], Tensor] | None, x: Tensor, out: Tensor) -> None:
    """Write the output of an activation for ``x [B, C, n]`` to ``out``; None copies ``x``."""
    # Only exactly these types: a subclass may compute something else.
    if type(activation) is nn.ELU:
        torch.ops.aten.elu.out(x, activation.alpha, out=out)
    elif type(activation) is Snake and x.device.type == "cpu" and x.is_floating_point():
        _snake(activation, x, out)
    else:
        out.copy_(x if activation is None else activation(x))


def _snake(activation: Snake, x: Tensor, out: Tensor) -> None:
    alpha, inverse = activation.factors()  # float32 or wider, in which all is computed
    # Four operations on a whole tensor would read and write it in main memory four times; on a block, once.
    steps = max(1, CACHED // max(1, x.shape[0] * x.shape[1]))
    for block, target in zip(x.split(steps, dim=-1), out.split(steps, dim=-1), strict=True):
        wide = block.to(alpha.dtype)
        squares = (wide * alpha).sin_().square_()
        if wide is block:
            torch.addcmul(wide, inverse, squares, out=target)
        else:
            target.copy_(wide.addcmul_(inverse, squares))
