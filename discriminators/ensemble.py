"""Several discriminators as one, and re-initialized copies of one."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codeclab.codecs.layers.fan_out import fan_out
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput

POWER_ITERATIONS = 15

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Ensemble(Discriminator):
    """Every sub-network of every discriminator, in order, as one discriminator.

    Args:
        discriminators: discriminators to join, at least one.

    Raises:
        ValueError: ``discriminators`` is empty.
    """

    def __init__(self, discriminators: list[Discriminator]) -> None:
        super().__init__()
        if not discriminators:
            raise ValueError("discriminators is empty; an Ensemble needs at least one discriminator")
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to the outputs of all discriminators, in order."""
        views = fan_out(audio, len(self.discriminators))
        pairs = zip(self.discriminators, views, strict=True)
        return [output for discriminator, view in pairs for output in discriminator(view)]


def ensembles(discriminators: list[Discriminator], n_ensembles: int, seed: int) -> nn.ModuleList:
    """An ensemble of discriminators and re-initialized copies of it, ``n_ensembles`` in all, drawn from ``seed`` on."""
    first = Ensemble(discriminators)
    return nn.ModuleList([first, *(reseeded_copy(first, seed + index) for index in range(1, n_ensembles))])


def reseeded_copy(module: AnyModule, seed: int) -> AnyModule:
    """A copy of ``module`` with weights drawn anew from ``seed``; the global random state is left as it was.

    ``reset_parameters`` of every submodule draws them; a normalized weight is drawn plain, then normalized. EnCodec
    trains one ensemble per bandwidth (section 3.4, multi-bandwidth training), and these must not start equal.

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
                    f"{name or 'the module'} ({type(part).__name__}) has parameters and no reset_parameters; "
                    "define one that draws them"
                )
            if normalized:
                _reset_normalized(part)
            else:
                reset()
    return clone


@torch.no_grad()
def _reset_normalized(part: nn.Module) -> None:
    """Reset a parametrized module: draw the plain weight, then assign it through the parametrization."""
    names = list(part.parametrizations)  # type: ignore[arg-type]
    with parametrize.cached():
        # The cache returns one tensor for every read of the weight, so reset_parameters fills that tensor in place.
        part.reset_parameters()  # type: ignore[operator]
        drawn = {name: getattr(part, name).clone() for name in names}
    for name, weight in drawn.items():
        setattr(part, name, weight)
    if not any(True for _ in part.parametrizations.buffers()):  # type: ignore[union-attr]
        return
    # Spectral norm keeps an estimate of the largest singular vectors, still that of the old weight. Each read in
    # training mode is one power iteration.
    training = part.training
    part.train()
    for name in names * POWER_ITERATIONS:
        getattr(part, name)
    part.train(training)
