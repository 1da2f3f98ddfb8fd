"""Weight norm of many layers at once; small weights of one shape are normalised as one tensor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

FEWEST = 4
"""Smallest number of layers of one shape to batch; joining lengths and directions costs two calls of its own."""

LARGEST = 1 << 15
"""Largest number of elements of a weight to batch. Joining copies weights, which takes longer than the calls it saves
if they are larger: 136 instead of 15 ms for the multi-period discriminator's five largest, with gradients."""


class AutocastConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose weight may already have autocast's type, whether or not autocast is on where it is called."""

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', H', W']``."""
        weight = self.weight if torch.is_autocast_enabled(maps.device.type) else self.weight.to(maps.dtype)
        return self._conv_forward(maps, weight, self.bias)


def normed_weights(layers: Sequence[nn.Module]) -> list[Tensor]:
    """The weights of layers, weight-normalised or plain, each equal to ``layer.weight``.

    Args:
        layers: modules with a ``weight``.

    Returns:
        One weight per layer, in order; small ones of one shape are views of one tensor.
    """
    weights: dict[int, Tensor] = {}
    for group in _groups(layers):
        lengths, directions = zip(*(_pair(layers[index]) for index in group), strict=True)
        # Weight norm is per row, so that the rows of all layers can be joined along the first axis.
        joined = torch._weight_norm(torch.cat(directions), torch.cat(lengths), 0)
        weights |= zip(group, joined.chunk(len(group)), strict=True)
    return [weights[index] if index in weights else cast(Tensor, layer.weight) for index, layer in enumerate(layers)]


@contextmanager
def weights_normed_once(module: nn.Module) -> Iterator[None]:
    """A context in which a module's weight-normalised weights are computed once, for any number of forward passes.

    Whether they have gradients is decided when the context is entered. Weights that are set inside it have no effect
    there. Under autocast, those of an ``AutocastConv2d`` are cast once, too; their gradients from several passes are
    then added in the lower precision, as with autocast's own cache of weights.
    """
    with parametrize.cached():
        # A compiled layer normalises its weights itself, because the cache is not an input of its graph.
        layers = [] if is_compiled(module) else [part for part in module.modules() if _is_normed(part)]
        for layer, weight in zip(layers, normed_weights(layers), strict=True):
            device = weight.device.type
            if isinstance(layer, AutocastConv2d) and torch.is_autocast_enabled(device):
                weight = weight.to(torch.get_autocast_dtype(device))
            parametrize._cache[id(layer), "weight"] = weight
        yield


def is_compiled(module: nn.Module) -> bool:
    """Whether a module, or a part of it, is compiled."""
    return any(part._compiled_call_impl is not None for part in module.modules())


def _is_normed(layer: nn.Module) -> bool:
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    steps = list(cast(Any, layer.parametrizations).weight)
    return len(steps) == 1 and isinstance(steps[0], _WeightNorm) and steps[0].dim == 0


def _pair(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """The two parameters of a weight-normalised layer: lengths and directions of its rows."""
    pair = cast(Any, layer.parametrizations).weight
    return pair.original0, pair.original1


def _groups(layers: Sequence[nn.Module]) -> list[list[int]]:
    """Indices of small weight-normalised layers of one shape, type, device and gradient, at least ``FEWEST`` each."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, layer in enumerate(layers):
        if _is_normed(layer):
            _, direction = _pair(layer)
            kind = (direction.shape, direction.dtype, direction.device, direction.requires_grad)
            if direction.numel() <= LARGEST:
                groups.setdefault(kind, []).append(index)
    return [group for group in groups.values() if len(group) >= FEWEST]
