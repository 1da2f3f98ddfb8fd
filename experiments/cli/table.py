"""``codeclab table NAME``: plan, train the rows that are missing, measure them, print the table."""

import argparse
import time
from pathlib import Path

from codeclab.benchmarks.metrics.errors import MetricMissingError
from codeclab.benchmarks.metrics.registry import metrics_named
from codeclab.benchmarks.tables.render import print_table
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.table import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import bring_files
from codeclab.experiments.config.words import read_words
from codeclab.experiments.runner.make_table import Launcher, choose_rows, draft_rows, launcher_here, make_table
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.slots import choose_slots, choose_workers
from codeclab.experiments.runner.slurm import SlurmLauncher
from codeclab.experiments.runs.process import Notes


def read_slots(options: argparse.Namespace, n_trainings: int) -> list[str | None]:
    """The slots of ``choose_slots``, from the options; none with Slurm, which gives each row what it asks.

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
    return choose_slots(n_trainings, options.devices, options.jobs)


def run(command: str, argv: list[str]) -> int:
    """``codeclab table``; returns the exit status: 0 when every row was made."""
    options, extra = make_parser().parse_known_args(argv)
    began = time.monotonic()
    try:
        words = read_words(extra)
        bring_files(words.imports)  # for rows that are not trained, and for metrics
        spec = read_table(options.name)
        chosen = choose_rows(spec, options.rows)
        request = TableRequest.of(
            spec,
            data=options.data,
            scale=options.scale,
            seeds=options.seeds,
            split=options.split,
            fit_lm=options.fit_lm,
            runs=options.runs,
            extra=words,
        )
        slots = read_slots(options, sum(row.jobs(request.seeds) for row in chosen))
        runs, on_cluster = Path(options.runs), options.launcher == "slurm"
        launcher: Launcher = SlurmLauncher(runs, options.slurm) if on_cluster else launcher_here(runs, slots)
        if not options.dry_run:
            metrics_named(spec.metrics)
        request = request.on(slots, choose_workers(options.workers, slots), on_cluster)
        drafts = draft_rows(request, chosen, slots, Notes())
    except (RecipeError, MetricMissingError) as error:
        return failed("table", error)
    if all(draft.error for draft in drafts):
        return 2
    if options.dry_run:
        return 1 if any(draft.error for draft in drafts) else 0
    made = make_table(request, drafts, slots, launcher, Path(options.output) if options.output else None)
    print_table(made.table)
    print(f"{time.monotonic() - began:.0f} s. Written to {made.folder}: table.md, .csv, .tex, .png and .json")
    return 0 if all(row.error is None or row.absent for row in made.table.rows) else 1
