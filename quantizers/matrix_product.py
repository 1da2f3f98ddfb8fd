"""Matrix products by the faster of torch's two libraries."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_ONEDNN_LINEAR: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""The operator that ``torch.compile`` uses for linear layers. It is not public, so that a version may lack it."""

_HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()

_BY_ONEDNN = _HAS_AVX512 and _ONEDNN_LINEAR is not None
"""``F.linear`` in float32 calls MKL, which on AMD's processors computes with half of the width of AVX-512 registers."""


def has_fast_products(dtype: torch.dtype) -> bool:
    """Whether ``linear`` uses the full width of this processor's registers in a type.

    Without AVX-512, bfloat16 is emulated, which takes products even longer than convolutions.
    """
    return _HAS_AVX512 if dtype == torch.bfloat16 else _BY_ONEDNN or not _HAS_AVX512


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` without gradients.

    Args:
        x: inputs ``[..., C]``.
        weight: matrix ``[C', C]``.
        bias: offsets ``[C']``.

    Returns:
        outputs ``[..., C']``.
    """
    in_float32 = x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if _ONEDNN_LINEAR is not None and _BY_ONEDNN and in_float32 and x.is_cpu and x.numel():
        return _ONEDNN_LINEAR(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)
