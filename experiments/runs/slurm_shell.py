"""Slurm's variables, which every shell of an allocation has, and only what ``srun`` starts should act on."""

import os
from collections.abc import Mapping
from typing import Any

from lightning.fabric.plugins.environments import LightningEnvironment

SPECIAL_STEPS = 0xFFFFFFF0
"""Steps from this number on are none of ``srun``: the batch script itself, or the shell of ``salloc``."""


def is_srun_task(environment: Mapping[str, str]) -> bool:
    """Whether this process is one of the tasks that ``srun`` started."""
    step = environment.get("SLURM_STEP_ID", environment.get("SLURM_STEPID", ""))
    return step.isdigit() and int(step) < SPECIAL_STEPS


def cluster_plugins(environment: Mapping[str, str] = os.environ) -> list[Any]:
    """What keeps Lightning from taking a shell, or a batch script, for one task of many and waiting for the others."""
    return [LightningEnvironment()] if "SLURM_NTASKS" in environment and not is_srun_task(environment) else []
