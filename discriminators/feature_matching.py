"""Distances between what discriminators see in real and in generated audio."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from codeclab.discriminators.adversarial import Reduction, reduced
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
        pairs = [
            (r.detach().float(), f.float())
            for real_judgement, fake_judgement in zip(real, fake, strict=True)
            for r, f in zip(real_judgement.features, fake_judgement.features, strict=True)
        ]
        distances = torch.stack([(r - f).abs().mean() for r, f in pairs])
        if self.relative:
            # One mean over all processes for all maps at once: two processes equal one on the doubled batch.
            magnitudes = all_reduce_mean(torch.stack([r.abs().mean() for r, _ in pairs]))
            distances = distances / magnitudes.clamp(min=SMALLEST_MEAN)
        counts = [len(judgement.features) for judgement in real]
        per_network = [reduced(list(maps), self.reduction) for maps in distances.split(counts)]
        return reduced(per_network, self.reduction)
