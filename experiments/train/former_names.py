"""Names of tensors in checkpoints of earlier versions."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

FORMER = {"critics.": "discriminators."}
"""Beginnings of names before version 0.2, and what they are now."""


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An experiment's tensors by the names they have now, whichever version wrote them."""
    return {_current(name): tensor for name, tensor in state.items()}


def accept_former_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A hook before ``load_state_dict``: gives tensors the names they have now.

    Args:
        module: that loads them.
        state: what it loads; changed in place.
        prefix: of the module's own names.
    """
    for name in list(state):
        if name.startswith(prefix) and _current(name.removeprefix(prefix)) != name.removeprefix(prefix):
            state[prefix + _current(name.removeprefix(prefix))] = state.pop(name)


def _current(name: str) -> str:
    for former, now in FORMER.items():
        if name.startswith(former):
            return now + name.removeprefix(former)
    return name
