"""Weight norm of many layers at once: weights of one shape are normalised as one tensor."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

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
    weights: list[Tensor | None] = [None] * len(layers)
    for places in _alike(layers):
        pairs = [layers[place].parametrizations.weight for place in places]  # type: ignore[union-attr]
        length = torch.cat([pair.original0 for pair in pairs])
        direction = torch.cat([pair.original1 for pair in pairs])
        for place, weight in zip(places, torch._weight_norm(direction, length, 0).chunk(len(places)), strict=True):
            weights[place] = weight
    return [layer.weight if one is None else one for layer, one in zip(layers, weights, strict=True)]  # type: ignore[misc]


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
    steps = layer.parametrizations.weight  # type: ignore[union-attr]
    return len(steps) == 1 and isinstance(steps[0], _WeightNorm) and steps[0].dim == 0  # type: ignore[arg-type, index]


def _alike(layers: Iterable[nn.Module]) -> list[list[int]]:
    """Places of weight-normalised layers of one kind of tensor, where there are enough of them."""

    def kind(place: int) -> tuple[object, ...]:
        pair = kinds[place]
        return (tuple(pair.shape), str(pair.dtype), str(pair.device), pair.requires_grad)

    kinds = {
        place: layer.parametrizations.weight.original1  # type: ignore[union-attr]
        for place, layer in enumerate(layers)
        if _is_normed(layer)
    }
    groups = (list(places) for _, places in groupby(sorted(kinds, key=kind), key=kind))
    return [places for places in groups if len(places) >= FEWEST]
