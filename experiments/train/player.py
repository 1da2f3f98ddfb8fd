"""What learns: a network and its optimizer, such as a player of adversarial training, generator or discriminators."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from codeclab.experiments.train.profiling import profile
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.quantizers.host_work import is_recorded, on_host, to_device


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

    def follow_schedule(self, batch: int) -> None:
        """Set the learning rate of a batch, counted from 0."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(batch)

    def clip(self) -> Tensor:
        """Clip the gradients to ``clip_norm``; returns their norm before that, a 0-d tensor."""
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.settings.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
        return norm

    @profile("optimizers")
    def step(self) -> None:
        """Step, and delete the gradients."""
        optimizer = self.optimizer.optimizer
        # Lightning counts every step of an optimizer through its own wrapper; a step of the inner optimizer is not
        # counted.
        if is_recorded():
            with self._rates_on_device():
                optimizer.step()
            if self.counts_batches:
                on_host(self._count)
        else:
            (self.optimizer if self.counts_batches else optimizer).step()
        optimizer.zero_grad(set_to_none=True)

    def _count(self) -> None:
        self.optimizer._on_before_step()
        self.optimizer._on_after_step()

    @contextmanager
    def _rates_on_device(self) -> Iterator[None]:
        """A context in which learning rates are tensors, as a recorded step needs; checkpoints keep the numbers."""
        groups = self.optimizer.param_groups
        numbers = [group["lr"] for group in groups]
        for group in groups:
            rate = to_device(partial(_rate_of, group), group["params"][0].device)
            group |= {"lr": rate, "capturable": True}
        try:
            yield
        finally:
            for group, number in zip(groups, numbers, strict=True):
                group |= {"lr": number, "capturable": False}


def _rate_of(group: dict[str, Any]) -> Tensor:
    return torch.tensor(group["lr"])
