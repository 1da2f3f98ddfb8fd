"""A job from its first batch to its figures, begun or continued."""

import gc
import os
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch
import yaml
from pandas import DataFrame

from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.benchmarks.tables.row import ABSENT
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders, fitted_identity, language_model_folder
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.folder import identity
from codeclab.codecs.wording import counted, named_line
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import code_is_allowed, import_files
from codeclab.experiments.runner.baseline_rows import measure_untrained, plan_measurement
from codeclab.experiments.runner.fit_language_model import fit_language_model, has_language_model
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.spec import none_offered
from codeclab.experiments.runs.build import build_resolved
from codeclab.experiments.runs.corpus_record import content_digest
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.measure.evaluate import data_of, evaluate_on
from codeclab.experiments.runs.measure.stamp import Stamp, code_of
from codeclab.experiments.runs.stopping import PASSED_ON, Stopped, end_with_parent, stop_request

SETTINGS = ".settings"
"""Folder beside the runs with the settings of runs that are trained in their own processes."""


def perform(job: Job, wait: bool) -> Outcome:
    """Make one job under its lock: train what is missing, its language model too, measure what is not measured.

    Args:
        job: job to make.
        wait: whether to wait for another runner that is making it; else the outcome is ``busy``.
    """
    with ExitStack() as locks:
        # A run on several devices is trained by a process of its own, which takes the second one.
        for purpose in ("row", "train") if job.config is not None and job.devices == 1 else ("row",):
            lock = locks.enter_context(RunLock(job.folder.path.parent, job.name, purpose))
            if not lock.acquire():
                if not wait:
                    return Outcome(busy=True)
                print(f"{job.title}: waiting: {lock.holder or 'another process'} is making this row", file=sys.stderr)
                lock.acquire(wait=True)
        began = time.monotonic()
        try:
            import_files([*((job.config or {}).get("import") or []), *job.imports])
            if job.config is not None:
                sweep(job.folder.path)
                train(job)
                fit_language_model(job)
                measure(job)
            else:
                measure_untrained(job)
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
    """An error in one line, printed at once; with a traceback if it is not an expected one."""
    message = named_line(error)
    if not isinstance(error, ValueError | RuntimeError | OSError | MemoryError):
        traceback.print_exception(error)
    print(f"{job.title}: {message}", file=sys.stderr)
    return message


def sweep(folder: Path) -> None:
    """Remove unfinished files of a killed process; only for the holder of the folder's lock."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink()


def train(job: Job) -> None:
    """Train a job to its end, or continue it where it stopped."""
    if job.is_trained:
        return
    print(f"{job.title}: training, {counted(job.steps - job.folder.steps, 'batch', 'batches')}", file=sys.stderr)
    if job.devices > 1:
        _train_in_process(job)
        return
    assert job.config is not None
    build_resolved(job.config).execute()


def _train_in_process(job: Job) -> None:
    """Train on several devices: Lightning starts the other processes by repeating the command of the first."""
    settings = Path(job.runs) / SETTINGS / f"{job.name}.yaml"
    write_atomically(settings, yaml.safe_dump(job.config, sort_keys=False))
    command = [sys.executable, "-m", "codeclab.experiments", "fit", "--config", str(settings)]
    if code_is_allowed():
        command.append("--run-code")
    # Inside a job of Slurm, Lightning would expect srun to have started a process for each device.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    last = ""
    # Signals are held before the process starts: one that comes in between would leave it without a parent that waits.
    with (
        stop_request().held() as stop,
        subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=end_with_parent,
            start_new_session=True,
        ) as process,
    ):
        assert process.stderr is not None
        with stop.passed_on(process.send_signal):
            if stop.number is not None:  # it came before there was a process to pass it on to
                process.send_signal(PASSED_ON)
            for line in process.stderr:
                print(line, end="", file=sys.stderr)
                last = line.strip() or last
    if stop.number is not None:
        raise Stopped(stop.number, reported=True)
    if process.returncode:
        raise RuntimeError(f"codeclab fit ended with status {process.returncode}: {last}")


def measure(job: Job) -> None:
    """Measure a job's codec, unless the stored figures are of this codec and these settings.

    Raises:
        RecipeError: the codec offers none of the table's bitrates.
    """
    codec, spec = Codec.from_pretrained(job.folder.codec), job.spec
    wanted = _wanted(job, codec)
    if Stamp.read(job.evaluation) == wanted:
        return
    rates = wanted.bitrates
    if not rates:
        raise RecipeError(none_offered(codec.bitrates))
    Stamp.remove(job.evaluation)
    job.folder.keep_code(job.config or {})  # whose metrics these figures are of
    data_module = data_of(job.folder.path, job.data, codec, spec.sample_rate)
    title = f"{job.title}, measuring"
    evaluate_on(data_module, codec, rates, spec.metrics, workers=job.workers, title=title).save(job.evaluation)
    coders, clips = Coders.beside(codec, job.folder.path), data_module.clips("test")
    columns = codec_columns(codec, spec.columns, rates, coders, clips)
    write_atomically(job.evaluation / "columns.csv", columns.to_csv(index=False, lineterminator="\n"))
    wanted.write(job.evaluation)


def is_made(job: Job) -> bool:
    """Whether nothing is left to do for a job."""
    if job.config is None:
        try:
            return Stamp.read(plan_measurement(job).folder) is not None
        except (ValueError, RuntimeError, OSError):
            return False  # making it will say what is wrong
    if not (job.is_trained and has_language_model(job)):
        return False
    return Stamp.read(job.evaluation) == _wanted(job, Codec.from_pretrained(job.folder.codec))


def _wanted(job: Job, codec: Codec) -> Stamp:
    """What the figures of a job depend on; stored beside them."""
    spec = job.spec
    data_module = data_of(job.folder.path, job.data, codec, spec.sample_rate)
    rates = spec.rates_of(job.row, codec.bitrates)
    fitted = fitted_identity(language_model_folder(job.folder.path)) if "entropy_coded" in spec.columns else None
    return Stamp(
        identity(codec),
        spec.metrics,
        rates,
        data_module.folder,
        data_module.sample_rate,
        columns=spec.columns,
        language_model=fitted,
        code=code_of(spec.metrics),
        audio=content_digest(data_module.clips("test").recordings),
    )


def measured(job: Job) -> tuple[Evaluation, DataFrame]:
    """What ``measure`` kept: the evaluation, and the table's columns as lines of a summary."""
    return Evaluation.load(job.evaluation), pd.read_csv(job.evaluation / "columns.csv")
