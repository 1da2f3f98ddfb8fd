"""Slurm's variables: every shell of an allocation has them, but only tasks of ``srun`` should act on them."""

import os
from collections.abc import Mapping
from typing import Any

from lightning.fabric.plugins.environments import LightningEnvironment

SPECIAL_STEPS = 0xFFFFFFF0
"""Steps from this number on are not those of ``srun``: the batch script itself, or the shell of ``salloc``."""


def is_srun_task(environment: Mapping[str, str]) -> bool:
    """Whether this process is one of the tasks that ``srun`` started."""
    step = environment.get("SLURM_STEP_ID", environment.get("SLURM_STEPID", ""))
    return step.isdigit() and int(step) < SPECIAL_STEPS


def cluster_plugins(environment: Mapping[str, str] = os.environ) -> list[Any]:
    """A plugin for a shell or batch script, which Lightning would take for one task of many and wait for the rest."""
    return [LightningEnvironment()] if "SLURM_NTASKS" in environment and not is_srun_task(environment) else []
