"""``codeclab table NAME``: plan, train the rows that are missing, measure them, print the table."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from codeclab.benchmarks.metrics.errors import MetricMissingError
from codeclab.benchmarks.metrics.registry import metrics_named
from codeclab.benchmarks.tables.render import print_table
from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.cli.options.table import make_parser
from codeclab.experiments.config.recipes import RecipeError, read_scale
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.named import without_synthetic
from codeclab.experiments.runner.draft import TableRequest
from codeclab.experiments.runner.fit_language_model import read_language_model
from codeclab.experiments.runner.make_table import Launcher, choose_rows, draft_rows, launcher_here, make_table
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runs.process import Notes


def choose_slots(options: argparse.Namespace, n_jobs: int) -> list[str | None]:
    """For each row made at the same time, its GPU, or None for a share of the cores; empty for one row at a time.

    Args:
        options: of ``codeclab table``.
        n_jobs: number of trainings, one per row and seed.

    Raises:
        RecipeError: options that are impossible here, or do not go together.
    """
    if any(number is not None and number < 1 for number in (options.seeds, options.jobs)):
        raise RecipeError("--seeds and --jobs should be 1 or more")
    if options.launcher == "slurm":
        if options.devices or options.jobs:
            raise RecipeError("--devices and --jobs are for --launcher local; Slurm gives each row what --slurm asks")
        return []
    if options.slurm:
        raise RecipeError("--slurm KEY=VALUE is for --launcher slurm")
    if options.devices is None:
        # On a GPU, rows side by side have to be asked for: whether their memory suffices is not known.
        usual = 1 if torch.cuda.is_available() else min(usable_cores(), n_jobs)
        at_a_time = options.jobs or usual
        return [None] * at_a_time if at_a_time > 1 else []
    if not torch.cuda.is_available():
        raise RecipeError("--devices: there is no GPU here; --jobs N makes N rows at a time on the CPU")
    devices = choose_devices(options.devices, torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return [*devices] * (options.jobs or 1)


def choose_devices(requested: str, count: int, visible: str | None) -> list[str]:
    """The requested GPUs, by the names that CUDA_VISIBLE_DEVICES gives them.

    Args:
        requested: a count, or numbers separated by commas.
        count: number of GPUs of the machine.
        visible: CUDA_VISIBLE_DEVICES, which numbers them.

    Raises:
        RecipeError: a GPU that does not exist.
    """
    words = [word.strip() for word in requested.split(",") if word.strip()]
    if not all(word.isdigit() for word in words):
        raise RecipeError(f"--devices {requested}: give a count or numbers, as in 4 or 0,2,3 (a single one: 2,)")
    numbers = [int(word) for word in words] if "," in requested else list(range(int(requested)))
    if not numbers or max(numbers) >= count or len(set(numbers)) < len(numbers):
        there = f"there {by_number(count, 'is', 'are')} {counted(count, 'GPU')}, numbered from 0"
        raise RecipeError(f"--devices {requested}: {there}; each can be given once")
    named = visible.split(",") if visible else [str(number) for number in range(count)]
    return [named[number].strip() for number in numbers]


def choose_launcher(options: argparse.Namespace, slots: list[str | None], notes: Notes) -> Launcher:
    """The launcher that makes the jobs.

    Raises:
        RecipeError: a Slurm option is not KEY=VALUE, or Slurm is not installed.
    """
    if options.launcher == "slurm":
        from codeclab.experiments.runner.slurm import SlurmLauncher

        return SlurmLauncher(Path(options.runs), options.slurm)
    return launcher_here(Path(options.runs), slots, notes)


def choose_workers(requested: int | None, slots: Sequence[str | None]) -> int:
    """Processes for ViSQOL per row: none if each row has one core, else two if there are two cores."""
    if requested is not None:
        return requested
    return 0 if None in slots or usable_cores() < 2 else 2


def run(command: str, argv: list[str]) -> int:
    """``codeclab table``; returns the exit status: 0 when every row was made."""
    options, extra = make_parser().parse_known_args(argv)
    try:
        spec = read_table(options.name)
        chosen = choose_rows(spec, options.rows)
        scale = options.scale or spec.scale
        if options.seeds is None:
            options.seeds = read_scale(scale)["seeds"] if scale else 1
        data = without_synthetic(options.data or spec.data)
        language_model = read_language_model(options.fit_lm, spec, data)
        slots = choose_slots(options, sum(row.jobs(options.seeds) for row in chosen))
        notes = Notes()
        launcher = choose_launcher(options, slots, notes)
        if not options.dry_run:
            metrics_named(spec.metrics)
    except (RecipeError, MetricMissingError) as error:
        print(f"codeclab table: {error}", file=sys.stderr)
        return 2
    split = options.split or ("test" if any(row.kind == "trained" for row in spec.rows) else "all")
    began = time.monotonic()
    elsewhere = options.launcher == "slurm"
    request = TableRequest(
        spec,
        scale,
        data=data,
        runs=options.runs,
        workers=choose_workers(options.workers, slots),
        seeds=options.seeds,
        extra=tuple(extra),
        alone=bool(slots) or elsewhere,
        on_cores=None in slots,
        elsewhere=elsewhere,
        split=split,
        language_model=language_model,
    )
    drafts = draft_rows(request, chosen, slots, notes)
    if all(draft.error for draft in drafts):
        return 2
    if options.dry_run:
        return 1 if any(draft.error for draft in drafts) else 0
    made = make_table(request, drafts, slots, launcher, Path(options.output) if options.output else None)
    print_table(made.table)
    print(f"{time.monotonic() - began:.0f} s. Written to {made.folder}: table.md, .csv, .tex, .png and .json")
    return 0 if all(row.error is None or row.absent for row in made.table.rows) else 1
