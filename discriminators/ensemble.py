"""Several discriminators judged as one, and fresh copies of one."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.discriminators.base import Discriminator, Judgement

POWER_ITERATIONS = 15

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Ensemble(Discriminator):
    """Every sub-network of every discriminator, in order, as one discriminator.

    Args:
        discriminators: at least one.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, discriminators: list[Discriminator]) -> None:
        super().__init__()
        if not discriminators:
            raise ValueError("an Ensemble needs at least one discriminator")
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N]`` to the judgements of all discriminators."""
        return [judgement for discriminator in self.discriminators for judgement in discriminator(audio)]


def reseeded_copy(module: AnyModule, seed: int) -> AnyModule:
    """A copy of ``module`` with weights drawn anew from ``seed``; the global random state is left as it was.

    Every submodule is asked to ``reset_parameters``, through its normalisation where it has one. Used for one ensemble
    per bandwidth (EnCodec, section 3.4, multi-bandwidth training): clones must not start equal.

    Raises:
        ValueError: a submodule has parameters of its own but no ``reset_parameters``.
    """
    clone = copy.deepcopy(module)
    devices = {parameter.device.index or 0 for parameter in clone.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        torch.manual_seed(seed)
        for name, part in clone.named_modules():
            if ".parametrizations" in f".{name}":
                continue
            normalized = parametrize.is_parametrized(part)
            if not normalized and not any(True for _ in part.parameters(recurse=False)):
                continue
            reset = getattr(part, "reset_parameters", None)
            if reset is None:
                raise ValueError(
                    f"{name or 'the module'} ({type(part).__name__}) has no reset_parameters to start anew"
                )
            if normalized:
                _reset_normalized(part)
            else:
                reset()
    return clone


@torch.no_grad()
def _reset_normalized(part: nn.Module) -> None:
    """Reset a parametrized module: draw the plain weight, then have the parametrization take it over."""
    names = list(part.parametrizations)  # type: ignore[arg-type]
    with parametrize.cached():
        # Inside the cache the weight is one tensor for all who read it: reset_parameters fills that one in place.
        part.reset_parameters()  # type: ignore[operator]
        drawn = {name: getattr(part, name).clone() for name in names}
    for name, weight in drawn.items():
        setattr(part, name, weight)
    if not any(True for _ in part.parametrizations.buffers()):  # type: ignore[union-attr]
        return
    # Spectral norm keeps an estimate, still of the old weight: each read in training mode takes it a step further.
    training = part.training
    part.train()
    for name in names * POWER_ITERATIONS:
        getattr(part, name)
    part.train(training)
