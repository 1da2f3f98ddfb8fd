"""Float32 arithmetic without reduced precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Compute in full float32: without autocast and, on a GPU, without rounding factors to TF32.

    By default, cuDNN's convolutions round to TF32's 10 bits of mantissa. A GPU would then choose other codes than a
    CPU: each stage codes the residual of the stages before it, including their rounding errors.

    Args:
        device: device on which the arithmetic runs.
    """
    if torch.compiler.is_exporting():  # an exported graph has no autocast
        yield
        return
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        cudnn: Any = torch.backends.cudnn  # torch's type stubs lack the setting
        convolution, product = cudnn.conv, torch.backends.cuda.matmul
        before = convolution.fp32_precision, product.fp32_precision
        convolution.fp32_precision = product.fp32_precision = "ieee"
        try:
            yield
        finally:
            convolution.fp32_precision, product.fp32_precision = before
