"""Names of tensors in checkpoints of earlier versions."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def current_names(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """An experiment's tensors by their current names, whichever version wrote them.

    Args:
        state: tensors by name.
        prefix: prefix of the experiment's own names.
    """
    former, now = f"{prefix}critics.", f"{prefix}discriminators."  # before version 0.2, and since
    return {
        now + name.removeprefix(former) if name.startswith(former) else name: tensor for name, tensor in state.items()
    }


def accept_former_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A pre-hook of ``load_state_dict``, which gives the tensors of ``state`` their current names."""
    renamed = current_names(state, prefix)
    state.clear()
    state.update(renamed)
