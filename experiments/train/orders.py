"""The two orders in which the players learn from one batch.

``discriminator_first`` is the order of released training code (DAC, AudioCraft): the discriminators learn first, and
the generator meets them as they are after their step. That takes two pairs of passes, over real and over generated
audio: one pair with the weights before the step, one with those after it. ``joint`` has one pair, from which both
players' losses come, and the discriminators step last: each player meets the other as it was before the batch.

In both orders the generator's losses are functions of ``leaf``, the decoder's output cut from its graph. Their
gradients are taken at the leaf alone (``Update._output_gradient``), so that none of them reaches the discriminators'
weights, and the balancer can weigh them before one of them passes through the decoder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codeclab.discriminators.adversarial import AdversarialLoss, joined_logits, reduced
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.feature_matching import FeatureLoss
from codeclab.discriminators.weights_once import two_passes, weights_normed_once
from codeclab.experiments.train.profiling import profile

RealAndFake = tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]
"""Outputs for real and for generated audio."""


@dataclass(frozen=True)
class Discriminators:
    """One ensemble and the losses played against it.

    Attributes:
        ensemble: ensemble that judges audio ``[B, C, N]``.
        adversarial: adversarial losses of both players.
        feature: feature-matching loss; None leaves it out.
        adversarial_active: whether the generator's adversarial loss counts.
    """

    ensemble: Discriminator
    adversarial: AdversarialLoss
    feature: FeatureLoss | None
    adversarial_active: bool

    @profile("discriminators forward")
    def outputs(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """The ensemble's outputs for audio ``[B, C, N]``."""
        return self.ensemble(audio)

    @profile("discriminators forward")
    def outputs_of_both(self, real: Tensor, fake: Tensor) -> RealAndFake:
        """The ensemble's outputs for real and for generated audio, both ``[B, C, N]``, from which its weights learn."""
        return two_passes(self.ensemble, real, fake)

    def generator_losses(self, real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> dict[str, Tensor]:
        """The generator's losses by name, from outputs for fake and (for feature matching alone) real audio."""
        losses = {}
        if self.adversarial_active:
            losses["adversarial"] = self.adversarial.generator(fake)
        if self.feature is not None:
            losses["feature"] = self.feature(real, fake)
        return losses


def mean_scores(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> dict[str, Tensor]:
    """The mean logits on real and on fake audio by their names in the logs, on the device."""
    return {"score_real": mean_logit(real), "score_fake": mean_logit(fake)}


def mean_logit(outputs: list[DiscriminatorOutput]) -> Tensor:
    """The mean over sub-networks of each one's mean logit, a 0-d tensor without gradient."""
    logits, counts = joined_logits(outputs)
    return reduced(logits.detach(), counts, "mean")


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keep a module's parameters out of the graphs built inside."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def standing_still(module: nn.Module) -> Iterator[None]:
    """Use a module in evaluation mode and without gradient: nothing it keeps, running averages included, moves."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)


def two_pass_loss(discriminators: Discriminators, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The discriminators' loss, and their scores, on ``real`` and on ``fake`` cut from the generator, ``[B, C, N]``.

    Two passes, not one over a batch of both: there, gradients that cancel exactly under the hinge, as those of the last
    bias and of units before it that keep their sign, would leave their rounding, which Adam makes a whole step of.
    """
    outputs = discriminators.outputs_of_both(real, fake.detach())
    scores = mean_scores(*outputs)
    return discriminators.adversarial.discriminator(*outputs), scores


def meet_updated_discriminators(discriminators: Discriminators, real: Tensor, leaf: Tensor) -> dict[str, Tensor]:
    """``discriminator_first``: the generator's losses by discriminators that have already learned from this batch.

    The released codes' order: real features without gradient, the fake pass with the discriminators' weights frozen.
    ``leaf`` has a gradient; both are ``[B, C, N]``.
    """
    outputs = _outputs_of_frozen(discriminators, real if discriminators.feature is not None else None, leaf)
    return discriminators.generator_losses(*outputs)


def share_one_pass(
    discriminators: Discriminators, real: Tensor, leaf: Tensor, update_discriminators: bool
) -> tuple[dict[str, Tensor], Tensor | None, dict[str, Tensor]]:
    """``joint``: both players' losses from one pass of the discriminators over ``real`` and one over ``leaf``.

    The discriminators are as they were before this batch, for both players. Their loss is None where they are not to be
    updated; their passes then keep no graph for the weights. Their scores come last.
    """
    if update_discriminators:
        # One graph, with the weights and the leaf: the discriminators' loss goes back to the weights, the generator's
        # losses to the leaf. What the former leaves in the leaf's own gradient is never read.
        outputs = discriminators.outputs_of_both(real, leaf)
        scores = mean_scores(*outputs)
        discriminator_loss = discriminators.adversarial.discriminator(*outputs)
        return discriminators.generator_losses(*outputs), discriminator_loss, scores
    outputs = _outputs_of_frozen(discriminators, real, leaf)
    scores = mean_scores(*outputs)
    return discriminators.generator_losses(*outputs), None, scores


def _outputs_of_frozen(discriminators: Discriminators, real: Tensor | None, leaf: Tensor) -> RealAndFake:
    """The outputs for real audio, without gradient, and for ``leaf``, with gradient at it alone."""
    with frozen(discriminators.ensemble), weights_normed_once(discriminators.ensemble):
        # The generator cannot change the real audio's outputs: they are targets of feature matching, and need no graph.
        with torch.no_grad():
            real_outputs = [] if real is None else discriminators.outputs(real)
        return real_outputs, discriminators.outputs(leaf)
