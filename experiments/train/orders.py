"""The two orders in which the players learn from one batch (design: training step)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.discriminators.adversarial import AdversarialLoss
from codeclab.discriminators.base import Discriminator, Judgement
from codeclab.discriminators.feature_matching import FeatureLoss

OutputLosses = Callable[[Tensor], dict[str, Tensor]]


@dataclass
class Critics:
    """One ensemble and the losses played against it.

    Attributes:
        ensemble: judges ``[B, C, N]``.
        adversarial: both players' adversarial losses.
        feature: feature matching; None leaves it out.
        adversarial_active: whether the generator's adversarial loss counts.
        scores: mean logits on real and on fake audio of the latest pass that judged both, 0-d tensors, for logging.
    """

    ensemble: Discriminator
    adversarial: AdversarialLoss
    feature: FeatureLoss | None
    adversarial_active: bool
    scores: dict[str, Tensor] = field(default_factory=dict)

    def loss(self, real: list[Judgement], fake: list[Judgement]) -> Tensor:
        """The critics' loss from their judgements of real and of fake audio."""
        self.note(real, fake)
        return self.adversarial.critic(real, fake)

    def note(self, real: list[Judgement], fake: list[Judgement]) -> None:
        """Keep the mean logits, each sub-network counted once; they stay on the device."""
        self.scores = {"score_real": mean_logit(real), "score_fake": mean_logit(fake)}


@dataclass
class GeneratorLosses:
    """The generator's losses on the decoder's output, and the graph they hang on.

    Attributes:
        leaf: the decoder's output ``[B, C, N]``, cut from the generator's graph, with gradient.
        losses: named scalars that depend on ``leaf``.
    """

    leaf: Tensor
    losses: dict[str, Tensor]

    def gradients(self) -> dict[str, Tensor]:
        """Each loss's gradient at ``leaf``, ``[B, C, N]``."""
        return {name: torch.autograd.grad(loss, self.leaf, retain_graph=True)[0] for name, loss in self.losses.items()}

    def weighted_gradient(self, weights: dict[str, float]) -> Tensor:
        """The gradient of the weighted sum in one backward pass, ``[B, C, N]``."""
        total = torch.stack([weights[name] * loss for name, loss in self.losses.items()]).sum()
        return torch.autograd.grad(total, self.leaf, retain_graph=True)[0]


def mean_logit(judgements: list[Judgement]) -> Tensor:
    """The mean over sub-networks of each one's mean logit, a 0-d tensor without gradient."""
    return torch.stack([judgement.logits.detach().float().mean() for judgement in judgements]).mean()


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


def critic_loss(critics: Critics, real: Tensor, fake: Tensor) -> Tensor:
    """The critics' loss on ``real`` and on ``fake`` cut from the generator, both ``[B, C, N]``.

    Two passes: in one over both, gradients that cancel exactly, as those of the last bias under the hinge, would leave
    their rounding, which Adam makes a whole step of.
    """
    with parametrize.cached():  # weights are normed once for both passes
        return critics.loss(critics.ensemble(real), critics.ensemble(fake.detach()))


def meet_updated_critics(critics: Critics, real: Tensor, fake: Tensor, output_losses: OutputLosses) -> GeneratorLosses:
    """``discriminator_first``: the generator meets critics that have already learned from this batch.

    The released codes' order: real features without gradient, the fake pass with the critics' weights frozen.
    """
    leaf = fake.detach().requires_grad_()
    losses = output_losses(leaf)
    if critics.adversarial_active or critics.feature is not None:
        with parametrize.cached():
            with torch.no_grad():
                real_judgements = critics.ensemble(real) if critics.feature is not None else []
            with frozen(critics.ensemble):
                fake_judgements = critics.ensemble(leaf)
        if critics.adversarial_active:
            losses["adversarial"] = critics.adversarial.generator(fake_judgements)
        if critics.feature is not None:
            losses["feature"] = critics.feature(real_judgements, fake_judgements)
    return GeneratorLosses(leaf, losses)


def share_one_pass(
    critics: Critics, real: Tensor, fake: Tensor, output_losses: OutputLosses, update_critics: bool
) -> tuple[GeneratorLosses, Tensor | None]:
    """``joint``: both players' losses from one pass of the critics over ``real`` and one over ``fake``.

    The critics are as they were before this batch, for both players. The critics' loss is None where they are not to
    be updated; their passes then keep no graph for the weights.
    """
    leaf = fake.detach().requires_grad_()
    losses = output_losses(leaf)
    if update_critics:
        with parametrize.cached():
            real_judgements, fake_judgements = critics.ensemble(real), critics.ensemble(leaf)
        critics_loss = critics.loss(real_judgements, fake_judgements)
    else:
        with parametrize.cached():
            with torch.no_grad():
                real_judgements = critics.ensemble(real)
            with frozen(critics.ensemble):
                fake_judgements = critics.ensemble(leaf)
        critics.note(real_judgements, fake_judgements)
        critics_loss = None
    if critics.adversarial_active:
        losses["adversarial"] = critics.adversarial.generator(fake_judgements)
    if critics.feature is not None:
        losses["feature"] = critics.feature(real_judgements, fake_judgements)
    return GeneratorLosses(leaf, losses), critics_loss
