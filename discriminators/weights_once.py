"""Weights of discriminators, computed once for several passes: over real audio, and over generated audio."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.quantizers.weight_norm import is_normed, normed_weights


class AutocastConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose weight may already have autocast's type, whether or not autocast is on where it is called."""

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', H', W']``."""
        weight = self.weight if torch.is_autocast_enabled(maps.device.type) else self.weight.to(maps.dtype)
        return self._conv_forward(maps, weight, self.bias)


@contextmanager
def weights_normed_once(module: nn.Module) -> Iterator[None]:
    """A context in which a module's weight-normalised weights are computed once, for any number of forward passes.

    Whether they have gradients is decided when the context is entered. Weights that are set inside it have no effect
    there. Under autocast, those of an ``AutocastConv2d`` are cast once, too; their gradients from several passes are
    then added in the lower precision, as with autocast's own cache of weights.
    """
    with parametrize.cached():
        # A compiled layer normalises its weights itself, because the cache is not an input of its graph.
        layers = [] if is_compiled(module) else [part for part in module.modules() if is_normed(part)]
        for layer, weight in zip(layers, normed_weights(layers), strict=True):
            device = weight.device.type
            if isinstance(layer, AutocastConv2d) and torch.is_autocast_enabled(device):
                weight = weight.to(torch.get_autocast_dtype(device))
            parametrize._cache[id(layer), "weight"] = weight
        yield


def is_compiled(module: nn.Module) -> bool:
    """Whether a module, or a part of it, is compiled."""
    return any(part._compiled_call_impl is not None for part in module.modules())
