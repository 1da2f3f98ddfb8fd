"""Names of tensors in checkpoints of earlier versions."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

FORMER = {"critics.": "discriminators."}
"""Current prefixes of names, by the prefix before version 0.2."""


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An experiment's tensors by their current names, whichever version wrote them."""
    return {_current(name): tensor for name, tensor in state.items()}


def accept_former_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A pre-hook of ``load_state_dict`` that gives tensors their current names.

    Args:
        module: module that loads the tensors.
        state: state dict to load, modified in place.
        prefix: prefix of the module's own names.
    """
    for name in list(state):
        if name.startswith(prefix) and _current(name.removeprefix(prefix)) != name.removeprefix(prefix):
            state[prefix + _current(name.removeprefix(prefix))] = state.pop(name)


def _current(name: str) -> str:
    for former, now in FORMER.items():
        if name.startswith(former):
            return now + name.removeprefix(former)
    return name
