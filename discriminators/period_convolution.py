"""Convolutions along the first axis of folded audio, as matrix products where a CPU computes them.

The result is that of ``F.conv2d``, which at the multi-period discriminator's sizes leaves up to half of a CPU's
arithmetic unused (``benchmarks/results/speed.md``).
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import register_flop_formula

from codeclab.discriminators.weights_once import AutocastConv2d
from codeclab.quantizers.matrix_product import has_fast_products, linear


class PeriodConv2d(AutocastConv2d):
    """``nn.Conv2d`` of kernel ``(k, 1)`` with ``(k - 1) // 2`` zeros on both sides.

    Where it is a matrix product, channels of the output are contiguous in memory, as the next layer reads them.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: kernel size ``k`` along the first axis, odd.
        stride: stride along the first axis.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, (kernel_size, 1), (stride, 1), ((kernel_size - 1) // 2, 0))

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, C, L, period]`` to ``[B, C', L', period]``."""
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
        if maps.is_cpu and self.bias is not None and kind != torch.float16 and has_fast_products(kind):
            with torch.autocast("cpu", enabled=False):
                cast = maps.to(kind), self.weight.to(kind), self.bias.to(kind)
                return period_convolution(*cast, self.stride[0])
        return super().forward(maps)


def period_conv2d(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Module:
    """A weight-normalized ``PeriodConv2d``."""
    return weight_norm(PeriodConv2d(in_channels, out_channels, kernel_size, stride))


def _windows(maps: Tensor, kernel_size: int, stride: int) -> Tensor:
    """The inputs ``[B * period * L', C * k]`` of each output position of ``maps [B, C, L, period]``."""
    padding = (kernel_size - 1) // 2
    positions = F.pad(maps.permute(0, 3, 2, 1), (0, 0, padding, padding))
    return positions.unfold(2, kernel_size, stride).reshape(-1, maps.shape[1] * kernel_size)


def _output_length(length: int, kernel_size: int, stride: int) -> int:
    """The output length ``L'`` of an input length ``L``."""
    return (length + 2 * ((kernel_size - 1) // 2) - kernel_size) // stride + 1


def _layout(maps: Tensor, channels: int, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of maps ``[B, channels, length, period]`` whose channels are contiguous in memory."""
    batch, _, _, period = maps.shape
    return (batch, channels, length, period), (period * length * channels, 1, channels, length * channels)


def _empty_maps(maps: Tensor, channels: int, length: int) -> Tensor:
    """Empty maps of this layout."""
    return maps.new_empty_strided(*_layout(maps, channels, length))


@torch.library.custom_op("codeclab::period_convolution", mutates_args=(), device_types="cpu")
def period_convolution(maps: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """``F.conv2d(maps, weight, bias, (stride, 1), ((k - 1) // 2, 0))`` as one matrix product; once differentiable.

    Args:
        maps: input ``[B, C, L, period]``.
        weight: kernel ``[C', C, k, 1]``.
        bias: bias ``[C']``.
        stride: stride along ``L``.

    Returns:
        ``[B, C', L', period]``.
    """
    rows = linear(_windows(maps, weight.shape[2], stride), weight.flatten(1), bias)
    shape, strides = _layout(maps, len(weight), _output_length(maps.shape[2], weight.shape[2], stride))
    # Autograd forbids to change a view that an operator returns, as an activation after it does; this is none.
    return rows.new_empty(0).set_(rows.untyped_storage(), 0, shape, strides)


@period_convolution.register_fake
def _output(maps: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    return _empty_maps(maps, len(weight), _output_length(maps.shape[2], weight.shape[2], stride))


@torch.library.custom_op("codeclab::period_convolution_backward", mutates_args=(), device_types="cpu")
def period_convolution_backward(
    gradient: Tensor, maps: Tensor, weight: Tensor, stride: int, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the maps, the weight and the bias; one that is not ``wanted`` is an empty tensor.

    Args:
        gradient: gradient of the output, ``[B, C', L', period]``.
        maps: input of the forward pass, ``[B, C, L, period]``.
        weight: kernel of the forward pass, ``[C', C, k, 1]``.
        stride: stride along ``L``.
        wanted: flags of the three gradients, True for each to compute.
    """
    kernel_size = weight.shape[2]
    rows = gradient.permute(0, 3, 2, 1).reshape(-1, len(weight))  # no copy where channels are contiguous in memory
    of_maps, of_weight, of_bias = (maps.new_empty(0) for _ in range(3))
    if wanted[0]:
        batch, channels, length, period = maps.shape
        positions = gradient.shape[2]
        of_windows = linear(rows, weight.flatten(1).t()).view(batch, period, positions, channels, kernel_size)
        # Channels of a tap side by side: in bfloat16, adding them is five times as fast as where they lie apart.
        taps = of_windows.permute(4, 0, 1, 2, 3).contiguous()
        padding = (kernel_size - 1) // 2
        padded = _empty_maps(maps, channels, length + 2 * padding).zero_().permute(0, 3, 2, 1)
        for tap in range(kernel_size):
            padded[:, :, tap : tap + stride * (positions - 1) + 1 : stride] += taps[tap]
        of_maps = padded.permute(0, 3, 2, 1)[:, :, padding : padding + length]
    if wanted[1]:
        of_weight = linear(rows.t(), _windows(maps, kernel_size, stride).t()).view_as(weight)
    if wanted[2]:
        of_bias = rows.sum(0)
    return of_maps, of_weight, of_bias


@period_convolution_backward.register_fake
def _shapes(
    gradient: Tensor, maps: Tensor, weight: Tensor, stride: int, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    length, padding = maps.shape[2], (weight.shape[2] - 1) // 2
    padded = _empty_maps(maps, maps.shape[1], length + 2 * padding)
    whole = padded[:, :, padding : padding + length], torch.empty_like(weight), weight.new_empty(len(weight))
    of_maps, of_weight, of_bias = (
        gradient if is_wanted else maps.new_empty(0) for gradient, is_wanted in zip(whole, wanted, strict=True)
    )
    return of_maps, of_weight, of_bias


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    maps, weight, _, ctx.stride = inputs
    ctx.save_for_backward(maps, weight)


def _is_wanted(ctx: Any, index: int) -> bool:
    """Whether this backward pass needs the gradient of an input, as torch's own operators decide it.

    ``needs_input_grad`` only tells whether some backward pass could need it: ``autograd.grad`` for the audio alone
    leaves the weights' gradients out.
    """
    if not ctx.needs_input_grad[index]:
        return False
    try:
        return bool(torch._C._will_engine_execute_node(ctx.next_functions[index][0]))
    except RuntimeError:  # torch raises for a leaf whose gradient is requested
        return True


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    maps, weight = ctx.saved_tensors
    wanted = [_is_wanted(ctx, index) for index in range(3)]
    gradients = period_convolution_backward(gradient, maps, weight, ctx.stride, wanted)
    return *(one if is_wanted else None for one, is_wanted in zip(gradients, wanted, strict=True)), None


period_convolution.register_autograd(_backward, setup_context=_keep)

Shape = Sequence[int]


@register_flop_formula(torch.ops.codeclab.period_convolution)
def _arithmetic(maps: Shape, weight: Shape, *_: object, out_shape: Shape, **__: object) -> int:
    return 2 * prod(out_shape) * prod(weight[1:])


@register_flop_formula(torch.ops.codeclab.period_convolution_backward)
def _arithmetic_backward(
    gradient: Shape, maps: Shape, weight: Shape, stride: int, wanted: Sequence[bool], **_: object
) -> int:
    return (wanted[0] + wanted[1]) * 2 * prod(gradient) * prod(weight[1:])
