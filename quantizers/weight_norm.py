"""Weight norm of many layers at once: weights of one shape are normalised as one tensor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

FEWEST = 4
"""Layers of one shape that are worth it: stacking length and direction are two calls of their own."""


def normed_weights(layers: Sequence[nn.Module]) -> list[Tensor]:
    """The weights of layers, weight-normalised or plain, each equal to ``layer.weight``.

    Args:
        layers: with a ``weight``.

    Returns:
        One for each layer, in their order; those of one shape are parts of one tensor.
    """
    weights: dict[int, Tensor] = {}
    for places in _alike(layers):
        lengths, directions = zip(*(_pair(layers[place]) for place in places), strict=True)
        together = torch._weight_norm(torch.cat(directions), torch.cat(lengths), 0)
        weights |= zip(places, together.chunk(len(places)), strict=True)
    return [weights[place] if place in weights else cast(Tensor, layer.weight) for place, layer in enumerate(layers)]


@contextmanager
def weights_normed_once(module: nn.Module) -> Iterator[None]:
    """Within it, weight-normalised weights of a module are computed once, however often it is passed.

    They have the gradient that their parameters have when it is entered. What sets a weight meanwhile is not heard.
    """
    with parametrize.cached():
        # A compiled layer computes its own: the cache is no input of its graph.
        compiled = any(part._compiled_call_impl is not None for part in module.modules())
        layers = [] if compiled else [part for part in module.modules() if _is_normed(part)]
        for layer, weight in zip(layers, normed_weights(layers), strict=True):
            parametrize._cache[id(layer), "weight"] = weight
        yield


def _is_normed(layer: nn.Module) -> bool:
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    steps = list(cast(Any, layer.parametrizations).weight)
    return len(steps) == 1 and isinstance(steps[0], _WeightNorm) and steps[0].dim == 0


def _pair(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Length and direction of a weight-normalised layer."""
    pair = cast(Any, layer.parametrizations).weight
    return pair.original0, pair.original1


def _alike(layers: Sequence[nn.Module]) -> list[list[int]]:
    """Places of weight-normalised layers of one kind of tensor, where there are enough of them."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, layer in enumerate(layers):
        if _is_normed(layer):
            _, direction = _pair(layer)
            kind = (direction.shape, direction.dtype, direction.device, direction.requires_grad)
            groups.setdefault(kind, []).append(place)
    return [places for places in groups.values() if len(places) >= FEWEST]
