"""Convolutions with a leaky ReLU, as one operator where a CPU computes them.

A map is then written once, and not read and written again by the activation.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import conv_flop_count, register_flop_formula

from codeclab.discriminators.needed_gradients import is_needed
from codeclab.quantizers.matrix_product import has_fast_products

_FUSED: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
"""The operator that ``torch.compile`` uses at inference. It is not public, so that a version may lack it."""


def leaky_convolution(conv: nn.Module, maps: Tensor, negative_slope: float) -> Tensor:
    """``F.leaky_relu(conv(maps), negative_slope)``.

    Args:
        conv: convolution of any kind; an ``nn.Conv2d`` on a CPU is computed together with the activation.
        maps: input ``[B, C, ...]``.
        negative_slope: negative slope of the leaky ReLU, above 0.
    """
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
    if not (_is_fusible(conv) and _is_fast(kind) and maps.is_cpu and maps.numel() and negative_slope > 0):
        # In place: no backward pass needs the convolution's own output, and these maps are large.
        return F.leaky_relu(conv(maps), negative_slope, inplace=True)
    conv = cast(nn.Conv2d, conv)
    layout = (conv.stride, conv.padding, conv.dilation, conv.groups)
    with torch.autocast("cpu", enabled=False):
        cast_to = maps.to(kind), conv.weight.to(kind), cast(Tensor, conv.bias).to(kind)
        return cast(Tensor, _LeakyConvolution.apply(*cast_to, layout, negative_slope))


def _is_fusible(conv: nn.Module) -> bool:
    # A subclass may compute something else, but for that of a weight norm.
    return (
        _FUSED is not None
        and not torch.compiler.is_compiling()  # the compiler joins operators itself
        and torch.backends.mkldnn.is_available()
        and isinstance(conv, nn.Conv2d)
        and type(conv).forward is nn.Conv2d.forward
        and conv.bias is not None
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


def _is_fast(kind: torch.dtype) -> bool:
    """Whether oneDNN's convolution of a type is the fastest here; without AVX-512 it emulates bfloat16."""
    return kind == torch.float32 or (kind == torch.bfloat16 and has_fast_products(kind))


class _LeakyConvolution(torch.autograd.Function):
    """The convolution of maps ``[B, C, H, W]`` with a leaky ReLU; its gradients are torch's own operators'."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, layout: tuple[Any, ...], negative_slope: float
    ) -> Tensor:
        assert _FUSED is not None
        stride, padding, dilation, groups = layout
        fused = (padding, stride, dilation, groups, "leaky_relu", [negative_slope], "")
        output = _FUSED(maps, weight, bias, *fused)
        ctx.layout, ctx.negative_slope = layout, negative_slope
        ctx.save_for_backward(maps, weight, output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, output = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.layout
        needed = [is_needed(ctx, index) for index in range(3)]
        # The slope is positive, so the output has the sign of the convolution.
        gradient = torch.ops.aten.leaky_relu_backward(gradient, output, ctx.negative_slope, True)
        geometry = (stride, padding, dilation, False, [0] * len(stride), groups)
        return (
            *torch.ops.aten.convolution_backward(gradient, maps, weight, [len(weight)], *geometry, needed),
            None,
            None,
        )


Shape = Sequence[int]

if _FUSED is not None:

    @register_flop_formula(_FUSED)
    def _arithmetic(
        maps: Sequence[int], weight: Sequence[int], *_: object, out_shape: Sequence[int], **__: object
    ) -> int:
        return conv_flop_count(list(maps), list(weight), list(out_shape))
