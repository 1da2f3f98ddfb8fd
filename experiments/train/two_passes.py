"""Two passes of one network, whose weights' gradients are added for all weights at once."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call
from torch.nn.utils import parametrize

from codeclab.discriminators.weights_once import is_compiled, weights_normed_once


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
