"""One of the two players of adversarial training: a network and what moves its weights."""

from dataclasses import dataclass

from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from codeclab.experiments.train.profiling import profile
from codeclab.experiments.train.settings import OptimizerSettings


@dataclass(frozen=True)
class Player:
    """A network, its optimizer, and how that is driven.

    Attributes:
        module: the weights that learn.
        optimizer: moves them.
        settings: learning rate, its schedule and the largest gradient norm.
        n_batches: of the whole training, along which the schedule runs.
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
        """Scale the gradients down to their largest norm; returns the norm before, a 0-d tensor."""
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.settings.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
        return norm

    @profile("optimizers")
    def step(self, batch: int) -> None:
        """Step with the learning rate of a batch, and leave the network without gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(batch)
        # Lightning counts every step of an optimizer that it has wrapped.
        (self.optimizer if self.counts_batches else self.optimizer.optimizer).step()
        self.optimizer.optimizer.zero_grad(set_to_none=True)
