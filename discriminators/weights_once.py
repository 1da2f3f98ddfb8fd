"""Weights of discriminators, computed once for several passes: over real audio, and over generated audio."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call
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
    """A context in which a module's weight-normalized weights are computed once, for any number of forward passes.

    Whether they have gradients is decided when the context is entered. Weights that are set inside it have no effect
    there. Under autocast, those of an ``AutocastConv2d`` are cast once, too; their gradients from several passes are
    then added in the lower precision, as with autocast's own cache of weights.
    """
    with parametrize.cached():
        # A compiled layer normalizes its weights itself, because the cache is not an input of its graph.
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


def two_passes(module: nn.Module, first: Tensor, second: Tensor) -> tuple[Any, Any]:
    """``module(first)`` and ``module(second)``, with weight norm computed once.

    Autograd would add the two gradients of each weight by an operation of its own. Here each pass has its own views of
    the weights, and one operation adds the gradients of all. The sums are the same, and each weight still gets one
    gradient in a backward pass, so that DDP reduces it once.

    Args:
        module: network, whose weights may be normed.
        first: audio ``[B, C, N]`` of the first pass.
        second: audio ``[B, C, N]`` of the second pass.
    """
    with weights_normed_once(module):
        if is_compiled(module):  # its graphs were made for the weights themselves
            return module(first), module(second)
        normed = {key: one for key, one in parametrize._cache.items() if one is not None and one.requires_grad}
        learnt = {name: one for name, one in module.named_parameters() if one.requires_grad}
        plain = {name: one for name, one in learnt.items() if ".parametrizations." not in f".{name}"}
        # Normed weights are computed from parameters and plain ones are parameters; both get views.
        views = _Views.apply(*normed.values(), *plain.values())
        outputs = []
        # A pass reads plain weights by ``functional_call``, and normed ones, which are no parameters, from the cache.
        for audio, own in ((first, views[: len(views) // 2]), (second, views[len(views) // 2 :])):
            parametrize._cache.update(zip(normed, own, strict=False))
            outputs.append(functional_call(module, dict(zip(plain, own[len(normed) :], strict=True)), (audio,)))
        return outputs[0], outputs[1]


class _Views(torch.autograd.Function):
    """Two views of each tensor: those of all tensors, then those of all again."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(one.view_as(one) for one in (*tensors, *tensors))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        half = len(gradients) // 2
        pairs = list(zip(gradients[:half], gradients[half:], strict=True))
        # A weight that a pass did not use has no gradient from it.
        of_both = [(at, one, other) for at, (one, other) in enumerate(pairs) if one is not None and other is not None]
        sums = [other if one is None else one for one, other in pairs]
        if of_both:
            positions, firsts, seconds = zip(*of_both, strict=True)
            for at, total in zip(positions, torch._foreach_add(firsts, seconds), strict=True):
                sums[at] = total
        return tuple(sums)
