"""Weight norm of many layers at once; small weights of one shape are normalized as one tensor."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

FEWEST = 4
"""Smallest number of layers of one shape to batch; joining lengths and directions costs two calls of its own."""

LARGEST = 1 << 15
"""Largest number of elements of a weight to batch. Joining copies weights, which takes longer than the calls it saves
if they are larger: with gradients, on one thread, 136 instead of 15 ms for the five largest of the multi-period
discriminator."""


def normed_weights(layers: Sequence[nn.Module]) -> list[Tensor]:
    """The weights of layers, weight-normalized or plain, each equal to ``layer.weight``.

    Args:
        layers: modules with a ``weight``.

    Returns:
        one weight per layer, in order; small ones of one shape are views of one tensor.
    """
    weights: dict[int, Tensor] = {}
    for group in _groups(layers):
        lengths, directions = zip(*(_pair(layers[index]) for index in group), strict=True)
        # Weight norm is per row, so that the rows of all layers can be joined along the first axis.
        joined = torch._weight_norm(torch.cat(directions), torch.cat(lengths), 0)
        weights |= zip(group, joined.chunk(len(group)), strict=True)
    return [weights[index] if index in weights else cast(Tensor, layer.weight) for index, layer in enumerate(layers)]


def is_normed(layer: nn.Module) -> bool:
    """Whether a layer's ``weight`` is weight-normalized by rows, and nothing else is done to it."""
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    steps = list(cast(Any, layer.parametrizations).weight)
    return len(steps) == 1 and isinstance(steps[0], _WeightNorm) and steps[0].dim == 0


def _pair(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """The two parameters of a weight-normalized layer: lengths and directions of its rows."""
    pair = cast(Any, layer.parametrizations).weight
    return pair.original0, pair.original1


def _groups(layers: Sequence[nn.Module]) -> list[list[int]]:
    """Indices of small weight-normalized layers of one shape, type, device and gradient, at least ``FEWEST`` each."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, layer in enumerate(layers):
        if is_normed(layer):
            _, direction = _pair(layer)
            kind = (direction.shape, direction.dtype, direction.device, direction.requires_grad)
            if direction.numel() <= LARGEST:
                groups.setdefault(kind, []).append(index)
    return [group for group in groups.values() if len(group) >= FEWEST]
