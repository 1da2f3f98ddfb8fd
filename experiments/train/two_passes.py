"""Two passes of one network, whose weights' gradients are added for all weights at once."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call
from torch.nn.utils import parametrize

from codeclab.quantizers.weight_norm import is_compiled, weights_normed_once


def two_passes(module: nn.Module, first: Tensor, second: Tensor) -> tuple[Any, Any]:
    """``module(first)`` and ``module(second)``, with weight norm computed once.

    Autograd would add the two gradients of each weight by an operation of its own. Here each pass has its own views of
    the weights, and one operation adds the gradients of all. The sums are the same.
    """
    with weights_normed_once(module):
        if is_compiled(module):  # for other weights, its graph would be compiled again
            return module(first), module(second)
        normed = {key: weight for key, weight in parametrize._cache.items() if weight is not None}
        plain = {name: one for name, one in module.named_parameters() if ".parametrizations." not in f".{name}"}
        views = _Views.apply(*normed.values(), *plain.values())
        outputs = []
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
        added = [(one, other) for one, other in pairs if one is not None and other is not None]
        sums = iter(torch._foreach_add(*map(list, zip(*added, strict=True))) if added else ())
        return tuple(
            next(sums) if None not in pair else next((x for x in pair if x is not None), None) for pair in pairs
        )
