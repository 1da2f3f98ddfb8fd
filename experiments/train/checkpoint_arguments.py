"""An experiment's arguments in a checkpoint, so that it is built anew from that alone."""

from collections.abc import Mapping
from typing import Any

from codeclab.experiments.train.parts import describe, rebuild

EXPERIMENT = "experiment"
"""Key of a checkpoint: ``arguments`` as plain values, and by argument why others ``cannot`` be kept."""

OF_THE_MACHINE = {"compile": False}
"""Arguments that say how a machine trains: they are not kept."""


def describe_arguments(arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a checkpoint keeps of an experiment's arguments."""
    kept: dict[str, Any] = {}
    cannot: dict[str, str] = {}
    for name, value in arguments.items():
        if name in OF_THE_MACHINE:
            continue
        try:
            kept[name] = describe(value)
        except ValueError as error:
            cannot[name] = str(error)
    return {"arguments": kept, "cannot": cannot}


def read_arguments(owner: type, checkpoint: Mapping[str, Any], path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a checkpoint kept, those given in their place.

    Args:
        owner: the experiment's class.
        checkpoint: its content.
        path: what messages call it.
        given: arguments in place of those kept.

    Raises:
        ValueError: they were not kept, or a class is not known.
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
    kept = {name: value for name, value in described["arguments"].items() if name not in given}
    return {**rebuild(owner, kept), **given}
