"""Distances between the discriminators' features of real and of generated audio."""

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from codeclab.discriminators.adversarial import Reduction
from codeclab.discriminators.base import DiscriminatorOutput
from codeclab.quantizers.distributed import all_reduce_mean

SMALLEST_MEAN = 1e-12


class FeatureLoss(nn.Module, ABC):
    """The distance of generated from real audio in the discriminators' features; a mean over the batch."""

    @abstractmethod
    def forward(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
        """A scalar; no gradient reaches ``real``."""


class FeatureMatchingLoss(FeatureLoss):
    """L1 between feature maps, relative to the real maps' mean magnitude or not.

    ``relative``: ``1 / (K L) sum_k sum_l mean|D_kl(x) - D_kl(x')| / mean|D_kl(x)|`` (EnCodec eq. 2), both means over
    all dimensions of the global batch. AudioCraft's code computes the divisor and leaves it out: ``relative=False``.
    DAC's released code is ``relative=False, reduction="sum"``.

    Args:
        relative: divide each map's distance by the mean magnitude of the real map.
        reduction: ``mean`` over the maps of a sub-network, then over sub-networks; or the ``sum`` over all of them.
    """

    def __init__(self, relative: bool = True, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.relative = relative
        self.reduction: Reduction = reduction

    def forward(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
        """The distance as a scalar; no gradient reaches ``real``.

        Raises:
            ValueError: ``real`` and ``fake`` do not come from the same sub-networks.
        """
        counts = [len(output.features) for output in real]
        pairs = [
            (r.detach().float(), f.float())
            for real_output, fake_output in zip(real, fake, strict=True)
            for r, f in zip(real_output.features, fake_output.features, strict=True)
        ]
        reals, fakes = [r for r, _ in pairs], [f for _, f in pairs]
        weights = [w / r.numel() for w, r in zip(reduction_weights(counts, self.reduction), reals, strict=True)]
        magnitudes = None
        if self.relative:
            # The divisor is a mean over the global batch, so that two processes equal one with the doubled batch. One
            # collective reduces the magnitudes of all maps.
            magnitudes = all_reduce_mean(torch.stack([r.mean() for r in torch._foreach_abs(reals)]))
            magnitudes.clamp_(min=SMALLEST_MEAN)
        return cast(Tensor, _WeightedDistance.apply(weights, magnitudes, reals, *fakes))


def reduction_weights(counts: list[int], reduction: Reduction) -> list[float]:
    """The weight of each map in the reduction over each sub-network's ``counts`` maps, then over sub-networks.

    Raises:
        ValueError: a sub-network has no maps, there is none, or ``reduction`` is neither ``mean`` nor ``sum``.
    """
    if not counts or not all(counts):
        raise ValueError("there are no feature maps to reduce; give at least one for every sub-network")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it should be 'mean' or 'sum'")
    if reduction == "sum":
        return [1.0] * sum(counts)
    return [1 / (count * len(counts)) for count in counts for _ in range(count)]


class _WeightedDistance(torch.autograd.Function):
    """``sum_i w_i |f_i - r_i|_1 / d_i`` over maps, most steps of it for all maps at once.

    The forward pass already computes the gradient, ``w_i sign(f_i - r_i) / d_i``; a map's product with it is its term
    of the sum. The backward pass only multiplies it by the gradient of the sum.
    """

    @staticmethod
    def forward(ctx: Any, weights: list[float], divisors: Tensor | None, reals: list[Tensor], *fakes: Tensor) -> Tensor:
        differences = torch._foreach_sub(fakes, reals)
        slopes = torch._foreach_sign(differences)
        torch._foreach_mul_(slopes, weights)
        if divisors is not None:
            torch._foreach_div_(slopes, divisors.unbind())
        ctx.save_for_backward(*slopes)
        return torch.stack([_product(*pair) for pair in zip(slopes, differences, strict=True)]).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *torch._foreach_mul(ctx.saved_tensors, gradient)


def _product(one: Tensor, other: Tensor) -> Tensor:
    """The sum of products of two tensors of one layout, read in the order in which they lie in memory."""
    order = sorted(range(one.ndim), key=one.stride, reverse=True)
    return torch.dot(one.permute(order).flatten(), other.permute(order).flatten())
