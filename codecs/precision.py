"""The precision of a codec's weights."""

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
