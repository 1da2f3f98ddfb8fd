"""Adversarial losses of the discriminators and the generator."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclab.codecs.wording import counted
from codeclab.discriminators.base import DiscriminatorOutput

Reduction = Literal["mean", "sum"]


class AdversarialLoss(ABC):
    """The adversarial losses of the discriminators and of the generator, each a mean over the batch."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "critic" in vars(cls) and "discriminator" not in vars(cls):
            # The method's name before 0.2; runs keep the files of their users' own losses.
            cls.discriminator = vars(cls)["critic"]  # type: ignore[method-assign]

    @abstractmethod
    def discriminator(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
        """The discriminators' loss, a scalar, from their outputs for real and for generated audio."""

    @abstractmethod
    def generator(self, fake: list[DiscriminatorOutput]) -> Tensor:
        """The generator's loss, a scalar, from the discriminators' outputs for its audio."""


def joined_logits(outputs: list[DiscriminatorOutput]) -> tuple[Tensor, list[int]]:
    """The logits of all sub-networks, joined to float32 ``[N]``, and the number of each.

    Raises:
        ValueError: ``outputs`` is empty.
    """
    if not outputs:
        raise ValueError("there are no discriminator outputs to reduce; give at least one")
    parts = [output.logits.float().flatten() for output in outputs]
    return torch.cat(parts), [len(part) for part in parts]


def check_same_networks(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> None:
    """Refuse outputs that do not come from the same sub-networks.

    Raises:
        ValueError: the numbers of outputs for real and for generated audio differ.
    """
    if len(real) != len(fake):
        raise ValueError(
            f"got {counted(len(real), 'output')} for real and {len(fake)} for generated audio; "
            "every sub-network should give one of each"
        )


def means(values: Tensor, counts: list[int]) -> Tensor:
    """The mean of each of the parts, of lengths ``counts``, of values ``[N]``; ``[len(counts)]``."""
    return torch.stack([part.mean() for part in values.split(counts)])


def reduced(values: Tensor | list[Tensor], reduction: Reduction) -> Tensor:
    """The mean or sum of scalars.

    Raises:
        ValueError: ``values`` is empty, or ``reduction`` is neither ``mean`` nor ``sum``.
    """
    if len(values) == 0:
        raise ValueError("there are no discriminator outputs to reduce; give at least one")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'mean' or 'sum'")
    stacked = values if isinstance(values, Tensor) else torch.stack(values)
    return stacked.mean() if reduction == "mean" else stacked.sum()


class HingeLoss(AdversarialLoss):
    """EnCodec's hinge loss, whose generator's side is clipped (section 3.4); ``HingeGANLoss`` is DAC's.

    Discriminators: ``max(0, 1 - D(x)) + max(0, 1 + D(x'))``; generator: ``max(0, 1 - D(x'))``. Each is averaged over a
    whole map of logits, then over sub-networks.

    Args:
        clipped: whether the generator's loss is ``max(0, 1 - D)``, EnCodec's equation (AudioCraft: ``hinge2``); False
            is ``-D`` (AudioCraft: ``hinge``), whose gradient does not vanish where ``D`` exceeds 1.
        reduction: reduction over sub-networks.
    """

    def __init__(self, clipped: bool = True, reduction: Reduction = "mean") -> None:
        self.clipped = clipped
        self.reduction: Reduction = reduction

    def discriminator(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
        """``max(0, 1 - D(real)) + max(0, 1 + D(fake))``."""
        check_same_networks(real, fake)
        (reals, counts), (fakes, fake_counts) = joined_logits(real), joined_logits(fake)
        losses = means(F.relu(1 - reals), counts) + means(F.relu(1 + fakes), fake_counts)
        return reduced(losses, self.reduction)

    def generator(self, fake: list[DiscriminatorOutput]) -> Tensor:
        """``max(0, 1 - D(fake))``, or ``-D(fake)`` when not clipped."""
        logits, counts = joined_logits(fake)
        losses = means(F.relu(1 - logits), counts) if self.clipped else -means(logits, counts)
        return reduced(losses, self.reduction)


class HingeGANLoss(HingeLoss):
    """The usual hinge loss of GANs, which DAC's text names (section 3.5; Lim and Ye 2017).

    The discriminators' loss is that of ``HingeLoss``; the generator's is ``-D(x')``. EnCodec clips the latter. DAC's
    released code has least squares (``LeastSquaresLoss``).

    Args:
        reduction: reduction over sub-networks.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(clipped=False, reduction=reduction)


class LeastSquaresLoss(AdversarialLoss):
    """Least squares (DAC's released code, where its paper says hinge): real audio should score 1, generated audio 0.

    Args:
        reduction: reduction over sub-networks; DAC sums.
    """

    def __init__(self, reduction: Reduction = "sum") -> None:
        self.reduction: Reduction = reduction

    def discriminator(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
        """``(1 - D(real))^2 + D(fake)^2``."""
        check_same_networks(real, fake)
        (reals, counts), (fakes, fake_counts) = joined_logits(real), joined_logits(fake)
        losses = means((1 - reals).square(), counts) + means(fakes.square(), fake_counts)
        return reduced(losses, self.reduction)

    def generator(self, fake: list[DiscriminatorOutput]) -> Tensor:
        """``(1 - D(fake))^2``."""
        logits, counts = joined_logits(fake)
        return reduced(means((1 - logits).square(), counts), self.reduction)
