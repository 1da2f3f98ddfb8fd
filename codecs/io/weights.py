"""The tensors of a module with weight norm folded into ``….weight``, and loading them."""

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LENGTH = ".parametrizations.weight.original0"
DIRECTION = ".parametrizations.weight.original1"
"""Names of the two tensors of ``.weight`` in torch's weight norm."""

OLDER_WEIGHT_NORM = ((".weight_g", LENGTH), (".weight_v", DIRECTION))
"""Their names in torch's older weight norm, and the names they have now."""


def renamed(name: str, replaced: Iterable[tuple[str, str]]) -> str:
    """A tensor's name with some of its parts replaced.

    Args:
        name: name of a tensor in a state dict.
        replaced: parts, and what stands there instead; replaced in this order.
    """
    for old, new in replaced:
        name = name.replace(old, new)
    return name


def folded_tensors(module: nn.Module) -> dict[str, Tensor]:
    """All parameters and persistent buffers, on the CPU, weight norm folded: ``….weight``, no ``parametrizations``."""
    tensors = {name: value for name, value in module.state_dict().items() if "parametrizations." not in name}
    for prefix, child in module.named_modules():
        if parametrize.is_parametrized(child):
            for name in cast(nn.ModuleDict, child.parametrizations):
                tensors[f"{prefix}.{name}" if prefix else name] = getattr(child, name)
    return {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}


def folded_copy(module: nn.Module) -> nn.Module:
    """A copy of a module with weight norm folded, without gradients, in evaluation mode."""
    clone = copy.deepcopy(module)
    for child in list(clone.modules()):
        if parametrize.is_parametrized(child):
            weights = {name: getattr(child, name) for name in cast(nn.ModuleDict, child.parametrizations)}
            # torch creates a class for each parametrized layer, which its copy shares. Removing the parametrization
            # through torch would change this class, and with it the original. So the copy gets the plain class instead.
            child.__class__ = type(child).__bases__[0]
            del child.parametrizations
            for name, weight in weights.items():
                child.register_parameter(name, nn.Parameter(weight.detach()))
    for parameter in clone.parameters():  # weights ordered for coding cannot be saved in a graph
        parameter.data = parameter.data.contiguous()
    return clone.requires_grad_(False).eval()


def fold(module: nn.Module) -> None:
    """Replace weight-normalized weights by plain ones, which are bit for bit the same."""
    for child in module.modules():
        if parametrize.is_parametrized(child):
            for name in list(cast(nn.ModuleDict, child.parametrizations)):
                parametrize.remove_parametrizations(child, name, leave_parametrized=True)


@torch.no_grad()
def fill(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy folded tensors into a module, weight-normalized or not.

    Args:
        module: module whose parameters and persistent buffers are all filled.
        tensors: tensors by the names of ``folded_tensors``.
        source: origin of the tensors, for the message.

    Raises:
        ValueError: tensors are missing, unexpected or of another shape; the message names them.
    """
    wanted = folded_tensors(module)
    problems = {
        "missing": [name for name in wanted if name not in tensors],
        "unexpected": [name for name in tensors if name not in wanted],
        "of another shape": [
            f"{name} is {list(tensors[name].shape)} instead of {list(value.shape)}"
            for name, value in wanted.items()
            if name in tensors and tensors[name].shape != value.shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{problem}: {some_of(names)}" for problem, names in problems.items() if names)
        raise ValueError(f"{source} does not fit the {type(module).__name__}: {listed}")
    for name, value in tensors.items():
        owner_name, _, attribute = name.rpartition(".")
        owner = module.get_submodule(owner_name)
        if parametrize.is_parametrized(owner, attribute):
            setattr(owner, attribute, value.to(getattr(owner, attribute)))
        else:
            getattr(owner, attribute).copy_(value)


def fold_pairs(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a state dict with each weight-normalized pair folded: ``length * direction / ||direction||``.

    The norm is over all axes except the first, which for a transposed convolution is the axis of the input channels.
    """
    folded = {}
    for name, tensor in tensors.items():
        if name.endswith(LENGTH):
            stem = name.removesuffix(LENGTH)
            folded[f"{stem}.weight"] = torch._weight_norm(tensors[stem + DIRECTION], tensor, 0)
        elif not name.endswith(DIRECTION):
            folded[name] = tensor
    return folded


def some_of(names: Sequence[str]) -> str:
    """The first four of some names as text, and the number of the others."""
    rest = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + rest
