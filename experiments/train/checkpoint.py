"""What a checkpoint holds of an experiment: its arguments, from which alone it is rebuilt, and its tensors by name."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from codeclab.experiments.train.parts import describe, rebuild

EXPERIMENT = "experiment"
"""Key of a checkpoint: ``arguments`` as plain values, and why others ``cannot`` be stored, by argument."""

OF_THE_MACHINE = ("compile", "cuda_graphs")
"""Arguments that concern the machine; they are not stored."""


def describe_arguments(arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The description of an experiment's arguments that a checkpoint stores."""
    plain: dict[str, Any] = {}
    cannot: dict[str, str] = {}
    for name, value in arguments.items():
        if name in OF_THE_MACHINE:
            continue
        try:
            plain[name] = describe(value)
        except ValueError as error:
            cannot[name] = str(error)
    return {"arguments": plain, "cannot": cannot}


def read_arguments(owner: type, checkpoint: Mapping[str, Any], path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments stored in a checkpoint of ``owner``, with those in ``given`` replaced; ``path`` is for messages.

    Raises:
        ValueError: the arguments were not stored, or a class is unknown.
    """
    if EXPERIMENT not in checkpoint:
        raise ValueError(
            f"{path} does not hold what it was built from: codeclab before 0.2 wrote it. Train one batch more with "
            "this version (the run's own command with a larger --trainer.max_steps), or build a CodecExperiment "
            "yourself and give it the checkpoint's state_dict"
        )
    described = checkpoint[EXPERIMENT]
    for name, reason in described["cannot"].items():
        if name not in given:
            raise ValueError(f"{path} does not hold how {name} was built: {reason}; give it, as {name}=...")
    stored = {name: value for name, value in described["arguments"].items() if name not in given}
    return {**rebuild(owner, stored), **given}


def current_names(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """An experiment's tensors by their current names, whichever version wrote them, after a ``prefix``."""
    former, now = f"{prefix}critics.", f"{prefix}discriminators."  # before version 0.2, and since
    return {
        now + name.removeprefix(former) if name.startswith(former) else name: tensor for name, tensor in state.items()
    }


def accept_former_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A pre-hook of ``load_state_dict``, which gives the tensors of ``state`` their current names."""
    renamed = current_names(state, prefix)
    state.clear()
    state.update(renamed)
