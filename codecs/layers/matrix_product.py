"""Matrix products by the faster of torch's two libraries, and weights in the type of coding."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_ONEDNN_LINEAR: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""The operator that ``torch.compile`` uses for linear layers. It is not public, so that a version may lack it."""

_HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()

_BY_ONEDNN = _HAS_AVX512 and _ONEDNN_LINEAR is not None
"""``F.linear`` in float32 calls MKL, which on AMD's processors computes with half of the width of AVX-512 registers."""

FULL_WIDTH = _BY_ONEDNN or not _HAS_AVX512
"""Whether float32 products use the full width of this processor's registers."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` without gradients.

    Args:
        x: inputs ``[..., C]``.
        weight: matrix ``[C', C]``.
        bias: ``[C']``.

    Returns:
        Outputs ``[..., C']``.
    """
    in_float32 = x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if _ONEDNN_LINEAR is not None and _BY_ONEDNN and in_float32 and x.is_cpu and x.numel():
        return _ONEDNN_LINEAR(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def computed(parameter: Tensor) -> Tensor:
    """A parameter without gradient, in the type that autocast computes in; converted once instead of at each use."""
    kind = parameter.device.type
    if torch.is_autocast_enabled(kind):
        return parameter.detach().to(torch.get_autocast_dtype(kind))
    return parameter.detach()
