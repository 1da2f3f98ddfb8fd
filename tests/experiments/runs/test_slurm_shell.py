"""Slurm's variables in a shell, and precisions that cannot work."""

import pytest

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.precision import refuse_precision
from codeclab.experiments.runs.slurm_shell import cluster_plugins, is_srun_task

ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "train", "SLURM_NTASKS_PER_NODE": "8"}


@pytest.mark.parametrize(
    ("more", "task"),
    [
        ({}, False),  # `salloc`, or a batch script
        ({"SLURM_PROCID": "0"}, False),
        ({"SLURM_STEP_ID": "4294967290", "SLURM_PROCID": "0"}, False),  # the shell that salloc opens on a node
        ({"SLURM_STEP_ID": "4294967291"}, False),  # a batch script
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "3"}, True),
    ],
)
def test_only_what_srun_starts_is_a_task(more, task):
    environment = ALLOCATION | more
    assert is_srun_task(environment) is task
    assert bool(cluster_plugins(environment)) is not task
    assert cluster_plugins({}) == []


def test_a_run_in_the_shell_of_an_allocation_trains_alone(build, monkeypatch, tmp_path):
    for name, value in ALLOCATION.items():
        monkeypatch.setenv(name, value)
    cli = build("dac_44khz", 2)
    assert cli.trainer.world_size == 1
    cli.execute()
    assert cli.folder.is_finished(2)


@pytest.mark.parametrize(
    ("precision", "why"),
    [
        ("bf16-true", "need float32 weights"),
        ("64", "read as float32"),
        ("64-true", "read as"),
        ("16", "gradient scaler"),
    ],
)
def test_precisions_that_cannot_work_are_refused(precision, why):
    with pytest.raises(RecipeError, match=f"--trainer.precision {precision}: .*{why}.*; use 32-true or bf16-mixed"):
        refuse_precision(precision)


@pytest.mark.parametrize("precision", ["32-true", "32", "bf16-mixed", "bf16", "None"])
def test_precisions_that_work_are_taken(precision):
    refuse_precision(precision)
    with pytest.raises(RecipeError):  # no prefix of a name will do
        refuse_precision(f"{precision}-true-mixed")
