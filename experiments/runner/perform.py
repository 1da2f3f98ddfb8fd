"""A job from its first batch to its figures, begun or continued."""

import gc
import json
import os
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pandas import DataFrame

from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.benchmarks.tables.table import ABSENT
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders, fitted_identity
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.recipes import RecipeError
from codeclab.experiments.runner.baseline_rows import measure_untrained, plan_measurement
from codeclab.experiments.runner.job import Job, Outcome, die_with_parent
from codeclab.experiments.runner.read import TableRow, TableSpec, read_table
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.evaluate import data_of, evaluate_codec
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.non_finite import report_non_finite
from codeclab.experiments.runs.stopping import Stopped, asked
from codeclab.experiments.tracking.describe_run import labelled
from codeclab.experiments.train.non_finite import NonFiniteLossError


def perform(job: Job, wait: bool) -> Outcome:
    """Make one job under its lock: train what is missing, measure what is not measured.

    Args:
        job: what to make.
        wait: for another runner that is making it; else the outcome is ``busy``.
    """
    with ExitStack() as locks:
        # A run on several devices is trained by a process of its own, which takes the second one.
        for purpose in ("row", "train") if job.flags and job.devices == 1 else ("row",):
            lock = locks.enter_context(RunLock(job.folder.path.parent, job.name, purpose))
            if not lock.acquire():
                if not wait:
                    return Outcome(busy=True)
                print(f"{job.title}: waiting for {lock.holder or 'another process'}, which makes it", file=sys.stderr)
                lock.acquire(wait=True)
        began = time.monotonic()
        try:
            spec, row = find_row(job)
            if row.kind == "trained":
                sweep(job.folder.path)
                with labelled(job.table, job.row, job.seed):
                    train(job)
                measure(job, spec, row)
            else:
                measure_other(job, spec, row)
        except NotInstalledError as error:
            print(f"{job.title}: {ABSENT}{error}", file=sys.stderr)
            return Outcome(error=f"{ABSENT}{error}")
        except Exception as error:
            return Outcome(error=_explain(job, error))
        finally:
            gc.collect()
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()  # what a row left there would be missing in the next
    print(f"{job.title}: done, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return Outcome()


def _explain(job: Job, error: Exception) -> str:
    """An error in one line, told to the user at once; with a traceback where it is none of those expected."""
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    if not isinstance(error, ValueError | RuntimeError | OSError | MemoryError):
        traceback.print_exception(error)
    print(f"{job.title}: {message}", file=sys.stderr)
    return message


def find_row(job: Job) -> tuple[TableSpec, TableRow]:
    """The table of a job, read anew, and its row in it."""
    spec = read_table(job.table)
    return spec, next(row for row in spec.rows if row.name == job.row)


def sweep(folder: Path) -> None:
    """Remove what a killed process had not finished writing; only for who holds the folder's lock."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink()


def train(job: Job) -> None:
    """Train a job to its end, or continue it where it stopped.

    Args:
        job: what to train.
    """
    if job.is_trained:
        return
    print(f"{job.title}: training, {job.steps - job.folder.steps:,} batches", file=sys.stderr)
    if job.devices > 1:
        _train_in_process(job)
        return
    cli = build("fit", list(job.flags))
    try:
        cli.execute()
    except NonFiniteLossError as error:
        print(report_non_finite(error, cli.folder), file=sys.stderr)
        raise


def _train_in_process(job: Job) -> None:
    """Train on several devices: Lightning starts the other processes by repeating the command of the first."""
    command = [sys.executable, "-m", "codeclab.experiments", "fit", *job.flags]
    # Inside a job of Slurm, Lightning would expect srun to have started a process for each device.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    last = ""
    with (
        subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=die_with_parent,
            start_new_session=True,
        ) as process,
        asked().held() as stop,
    ):
        assert process.stderr is not None
        with stop.passed_on(process.send_signal):
            for line in process.stderr:
                print(line, end="", file=sys.stderr)
                last = line.strip() or last
    if stop.number is not None:
        raise Stopped(stop.number, told=True)
    if process.returncode:
        raise RuntimeError(f"codeclab fit ended with status {process.returncode}: {last}")


def measure(job: Job, spec: TableSpec, row: TableRow) -> None:
    """Measure a job's codec: not at all where the figures kept are of this codec and these settings."""
    codec = Codec.from_pretrained(job.folder.codec)
    wanted = _wanted(job, spec, row, codec)
    stamp = job.evaluation / "table.json"
    if _is_stamped(stamp, wanted):
        return
    rates = wanted["bitrates"]
    if not rates:
        offered = ", ".join(f"{rate:.4g}" for rate in codec.bitrates)
        raise RecipeError(f"none of the table's bitrates; it offers {offered} kbps: say 'bitrates' in the row")
    stamp.unlink(missing_ok=True)
    data_module = data_of(job.folder.path, job.data, codec, spec.sample_rate)
    title = f"{job.title}, measuring"
    evaluate_codec(codec, data_module, rates, spec.metrics, workers=job.workers, title=title).save(job.evaluation)
    coders, clips = Coders.beside(codec, job.folder.path), data_module.clips("test")
    columns = codec_columns(codec, spec.columns, rates, coders, clips)
    write_atomically(job.evaluation / "columns.csv", columns.to_csv(index=False, lineterminator="\n"))
    write_atomically(stamp, json.dumps(wanted))


def is_made(job: Job, spec: TableSpec, row: TableRow) -> bool:
    """Whether nothing is left to do for a job."""
    if row.kind != "trained":
        try:
            return plan_measurement(row, spec, job.data, job.runs, job.scale, job.extra).is_kept
        except (ValueError, RuntimeError, OSError):
            return False  # making it will say what is wrong
    if not job.is_trained:
        return False
    codec = Codec.from_pretrained(job.folder.codec)
    return _is_stamped(job.evaluation / "table.json", _wanted(job, spec, row, codec))


def _wanted(job: Job, spec: TableSpec, row: TableRow, codec: Codec) -> dict[str, Any]:
    """What the figures of a job depend on; kept beside them."""
    data_module = data_of(job.folder.path, job.data, codec, spec.sample_rate)
    fitted = fitted_identity(job.folder.path) if "entropy_coded" in spec.columns else None
    return ({} if fitted is None else {"language_model": fitted}) | {
        "codec": identity(codec),
        "metrics": spec.metrics,
        "columns": spec.columns,
        "bitrates": spec.rates_of(row, codec.bitrates),
        "folder": data_module.folder,
        "sample_rate": data_module.sample_rate,
    }


def _is_stamped(stamp: Path, wanted: dict[str, Any]) -> bool:
    return stamp.is_file() and json.loads(stamp.read_text()) == wanted


def measured(job: Job) -> tuple[Evaluation, DataFrame]:
    """What ``measure`` kept: the evaluation, and the table's columns as lines of a summary."""
    return Evaluation.load(job.evaluation), pd.read_csv(job.evaluation / "columns.csv")


def measure_other(job: Job, spec: TableSpec, row: TableRow) -> Evaluation:
    """Measure a published codec or a baseline; figures kept are not measured again."""
    return measure_untrained(row, spec, job.data, job.runs, job.workers, job.scale, job.extra)
