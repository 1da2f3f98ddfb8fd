"""What discriminators and the generator play for."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclab.discriminators.base import Judgement

Reduction = Literal["mean", "sum"]


class AdversarialLoss(ABC):
    """Both players' adversarial losses, each a mean over the batch."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "critic" in vars(cls) and "discriminator" not in vars(cls):
            # Its name before 0.2: runs keep the files of their users' own losses.
            cls.discriminator = vars(cls)["critic"]  # type: ignore[method-assign]

    @abstractmethod
    def discriminator(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
        """What the discriminators minimise: a scalar from their judgements of real and generated audio."""

    @abstractmethod
    def generator(self, fake: list[Judgement]) -> Tensor:
        """What the generator minimises: a scalar from the judgements of its audio."""


def joined_logits(judgements: list[Judgement]) -> tuple[Tensor, list[int]]:
    """All sub-networks' logits in a row, float32 ``[N]``, and how many each has.

    Raises:
        ValueError: there are no judgements.
    """
    if not judgements:
        raise ValueError("there are no judgements to reduce")
    parts = [judgement.logits.float().flatten() for judgement in judgements]
    return torch.cat(parts), [len(part) for part in parts]


def check_same_networks(real: list[Judgement], fake: list[Judgement]) -> None:
    """Refuse judgements that do not come from the same discriminators.

    Raises:
        ValueError: there are more of real audio than of generated audio, or fewer.
    """
    if len(real) != len(fake):
        raise ValueError(
            f"{len(real)} judgements of real and {len(fake)} of generated audio; right is one of each by every network"
        )


def means(values: Tensor, counts: list[int]) -> Tensor:
    """The mean of each sub-network's part of values in a row ``[N]``."""
    return torch.stack([part.mean() for part in values.split(counts)])


def reduced(values: Tensor | list[Tensor], reduction: Reduction) -> Tensor:
    """The mean or sum of scalars.

    Raises:
        ValueError: there are none, or ``reduction`` is neither mean nor sum.
    """
    if len(values) == 0:
        raise ValueError("there are no judgements to reduce")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'mean' or 'sum'")
    stacked = values if isinstance(values, Tensor) else torch.stack(values)
    return stacked.mean() if reduction == "mean" else stacked.sum()


class HingeLoss(AdversarialLoss):
    """EnCodec's hinge loss, whose generator's side is clipped (section 3.4); ``HingeGANLoss`` is DAC's.

    Discriminators: ``max(0, 1 - D(x)) + max(0, 1 + D(x'))``; generator: ``max(0, 1 - D(x'))``. Each is averaged over a
    whole map of logits, then over sub-networks.

    Args:
        clipped: the generator's ``max(0, 1 - D)`` of EnCodec's equation (AudioCraft: ``hinge2``); False is ``-D``
            (AudioCraft: ``hinge``), which keeps pushing where the discriminators are already convinced.
        reduction: over sub-networks.
    """

    def __init__(self, clipped: bool = True, reduction: Reduction = "mean") -> None:
        self.clipped = clipped
        self.reduction: Reduction = reduction

    def discriminator(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
        """``max(0, 1 - D(real)) + max(0, 1 + D(fake))``."""
        check_same_networks(real, fake)
        (reals, counts), (fakes, fake_counts) = joined_logits(real), joined_logits(fake)
        losses = means(F.relu(1 - reals), counts) + means(F.relu(1 + fakes), fake_counts)
        return reduced(losses, self.reduction)

    def generator(self, fake: list[Judgement]) -> Tensor:
        """``max(0, 1 - D(fake))``, or ``-D(fake)`` when not clipped."""
        logits, counts = joined_logits(fake)
        losses = means(F.relu(1 - logits), counts) if self.clipped else -means(logits, counts)
        return reduced(losses, self.reduction)


class HingeGANLoss(HingeLoss):
    """The hinge loss of GANs as it is usually written, which DAC's text names (section 3.5; Lim and Ye 2017).

    Discriminators as in ``HingeLoss``; generator: ``-D(x')``, where EnCodec clips it and DAC's released code has least
    squares (``LeastSquaresLoss``).

    Args:
        reduction: over sub-networks.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(clipped=False, reduction=reduction)


class LeastSquaresLoss(AdversarialLoss):
    """Least squares (DAC's released code, where its paper says hinge): real audio should score 1, generated audio 0.

    Args:
        reduction: over sub-networks; DAC sums.
    """

    def __init__(self, reduction: Reduction = "sum") -> None:
        self.reduction: Reduction = reduction

    def discriminator(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
        """``(1 - D(real))^2 + D(fake)^2``."""
        check_same_networks(real, fake)
        (reals, counts), (fakes, fake_counts) = joined_logits(real), joined_logits(fake)
        losses = means((1 - reals).square(), counts) + means(fakes.square(), fake_counts)
        return reduced(losses, self.reduction)

    def generator(self, fake: list[Judgement]) -> Tensor:
        """``(1 - D(fake))^2``."""
        logits, counts = joined_logits(fake)
        return reduced(means((1 - logits).square(), counts), self.reduction)
