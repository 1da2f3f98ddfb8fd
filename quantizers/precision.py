"""Float32 arithmetic that stays float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Compute float32 as it stands: under no autocast and, on a GPU, without rounding factors to TF32.

    cuDNN's convolutions round to TF32's 10 bits of mantissa unless told otherwise. A quantizer's projections would then
    choose other codes than a CPU's: each stage codes what the ones before left over, and their errors with it.

    Args:
        device: where the arithmetic runs.
    """
    if torch.compiler.is_exporting():  # a graph has no autocast
        yield
        return
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        cudnn: Any = torch.backends.cudnn  # its stubs do not know the setting
        convolution, product = cudnn.conv, torch.backends.cuda.matmul
        before = convolution.fp32_precision, product.fp32_precision
        convolution.fp32_precision = product.fp32_precision = "ieee"
        try:
            yield
        finally:
            convolution.fp32_precision, product.fp32_precision = before
