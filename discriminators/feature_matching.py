"""Distances between what discriminators see in real and in generated audio."""

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from codeclab.discriminators.adversarial import Reduction
from codeclab.discriminators.base import Judgement
from codeclab.quantizers.distributed import all_reduce_mean

SMALLEST_MEAN = 1e-12


class FeatureLoss(nn.Module, ABC):
    """How far generated audio is from real audio in the discriminators' features; a mean over the batch."""

    @abstractmethod
    def forward(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
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

    def forward(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
        """The distance as a scalar; no gradient reaches ``real``.

        Raises:
            ValueError: the judgements do not come from the same discriminators.
        """
        counts = [len(judgement.features) for judgement in real]
        pairs = [
            (r.detach().float(), f.float())
            for real_judgement, fake_judgement in zip(real, fake, strict=True)
            for r, f in zip(real_judgement.features, fake_judgement.features, strict=True)
        ]
        reals, fakes = [r for r, _ in pairs], [f for _, f in pairs]
        weights = reduction_weights(counts, self.reduction)
        divisors = None
        if self.relative:
            # One mean over all processes for all maps at once: two processes equal one on the doubled batch.
            magnitudes = all_reduce_mean(torch.stack([r.mean() for r in torch._foreach_abs(reals)]))
            divisors = magnitudes.clamp_(min=SMALLEST_MEAN)
        return cast(Tensor, _WeightedDistance.apply(weights, divisors, reals, *fakes))


def reduction_weights(counts: list[int], reduction: Reduction) -> list[float]:
    """What each map counts in the reduction over ``counts`` maps of each sub-network, then over sub-networks.

    Raises:
        ValueError: a sub-network without maps, no sub-network, or ``reduction`` is neither mean nor sum.
    """
    if not counts or not all(counts):
        raise ValueError("there are no judgements to reduce")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'mean' or 'sum'")
    if reduction == "sum":
        return [1.0] * sum(counts)
    return [1 / (count * len(counts)) for count in counts for _ in range(count)]


class _WeightedDistance(torch.autograd.Function):
    """``sum_i w_i mean|f_i - r_i| / d_i`` over maps, most steps of it for all maps at once.

    Its gradient is ready when the forward pass is over but for one factor, that of the sum.
    """

    @staticmethod
    def forward(ctx: Any, weights: list[float], divisors: Tensor | None, reals: list[Tensor], *fakes: Tensor) -> Tensor:
        differences = torch._foreach_sub(fakes, reals)
        distances = torch._foreach_mul([d.mean() for d in torch._foreach_abs(differences)], weights)
        torch._foreach_sign_(differences)
        torch._foreach_mul_(differences, [w / f.numel() for w, f in zip(weights, fakes, strict=True)])
        total = torch.stack(distances)
        if divisors is not None:
            total = total / divisors
            for slope, divisor in zip(differences, divisors.unbind(), strict=True):
                slope.div_(divisor)
        ctx.save_for_backward(*differences)
        return total.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *torch._foreach_mul(ctx.saved_tensors, gradient)
