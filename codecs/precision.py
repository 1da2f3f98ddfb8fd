"""The precision of coding: float32, or bfloat16 for the networks."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def check_float32(codec: nn.Module) -> None:
    """Refuse a codec that was cast to another type: quantizers and their distances are float32.

    Raises:
        ValueError: the weights are of another type; the message names alternatives.
    """
    kind = next(codec.parameters()).dtype
    if kind != torch.float32:
        name = str(kind).removeprefix("torch.")
        raise ValueError(
            f"this codec was cast to {name}, but its quantizer computes in float32: call .float() on it. "
            "save(folder, half=True) halves the file, and to_bf16() halves the precision of the networks"
        )


def network_precision(device: torch.device, bf16: bool) -> AbstractContextManager[None]:
    """The context for calls of encoder and decoder: autocast to bfloat16, or no change."""
    if not bf16:
        return nullcontext()
    context: AbstractContextManager[None] = torch.autocast(device.type, torch.bfloat16)
    return context
