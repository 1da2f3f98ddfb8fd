"""Adversarial losses of the discriminators and the generator."""

from abc import ABC, abstractmethod
from functools import lru_cache
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


def reduced(values: Tensor, counts: list[int], reduction: Reduction) -> Tensor:
    """The mean of each sub-network's values, then their mean or sum; one product for all sub-networks.

    Args:
        values: values of all sub-networks, joined, float32 ``[N]``.
        counts: number of values of each.
        reduction: reduction over sub-networks.

    Raises:
        ValueError: ``reduction`` is neither ``mean`` nor ``sum``.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it should be 'mean' or 'sum'")
    return torch.dot(values, _shares(tuple(counts), reduction, values.device))


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _shares(counts: tuple[int, ...], reduction: Reduction, device: torch.device) -> Tensor:
    """The weight of each value in ``reduced``, ``[N]``; the same in every batch of a training."""
    networks = len(counts) if reduction == "mean" else 1
    shares = torch.tensor([1 / (networks * count) for count in counts])
    return shares.repeat_interleave(torch.tensor(counts)).to(device)


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
        return reduced(F.relu(1 - reals), counts, self.reduction) + reduced(
            F.relu(1 + fakes), fake_counts, self.reduction
        )

    def generator(self, fake: list[DiscriminatorOutput]) -> Tensor:
        """``max(0, 1 - D(fake))``, or ``-D(fake)`` when not clipped."""
        logits, counts = joined_logits(fake)
        return reduced(F.relu(1 - logits) if self.clipped else -logits, counts, self.reduction)


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
        return reduced((1 - reals).square(), counts, self.reduction) + reduced(
            fakes.square(), fake_counts, self.reduction
        )

    def generator(self, fake: list[DiscriminatorOutput]) -> Tensor:
        """``(1 - D(fake))^2``."""
        logits, counts = joined_logits(fake)
        return reduced((1 - logits).square(), counts, self.reduction)
