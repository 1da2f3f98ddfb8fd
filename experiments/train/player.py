"""One of the two players of adversarial training, generator or discriminators: a network and its optimizer."""

from dataclasses import dataclass

from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from codeclab.experiments.train.profiling import profile
from codeclab.experiments.train.settings import OptimizerSettings


@dataclass(frozen=True)
class Player:
    """A network, its optimizer, and the optimizer's settings.

    Attributes:
        module: network that is trained.
        optimizer: optimizer of its weights.
        settings: learning rate, its schedule and the largest gradient norm.
        n_batches: number of batches of the whole training, over which the schedule runs.
        counts_batches: whether its steps advance Lightning's ``global_step``: those of exactly one player do, so that
            it counts batches even where a batch leaves the discriminators alone.
    """

    module: nn.Module
    optimizer: LightningOptimizer
    settings: OptimizerSettings
    n_batches: int
    counts_batches: bool

    def learning_rate(self, batch: int) -> float:
        """The learning rate of a batch, counted from 0."""
        return self.settings.rate(batch, self.n_batches)

    def clip(self) -> Tensor:
        """Clip the gradients to ``clip_norm``; returns their norm before that, a 0-d tensor."""
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.settings.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
        return norm

    @profile("optimizers")
    def step(self, batch: int) -> None:
        """Step with the learning rate of a batch, and delete the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(batch)
        # Lightning counts every step of an optimizer through its own wrapper; a step of the inner optimizer is not
        # counted.
        (self.optimizer if self.counts_batches else self.optimizer.optimizer).step()
        self.optimizer.optimizer.zero_grad(set_to_none=True)
