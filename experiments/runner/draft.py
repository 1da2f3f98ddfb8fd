"""Builds and checks rows before any is trained: what each needs, and its errors.

This happens in the command's own process, which keeps no model: a row is built, its batches are timed, and its parts
are dropped before the next one. What it leaves is plain data, a ``Job`` a seed, which may be pickled and made in
another process or on another machine. Nothing of a draft is stored but its timing: after a crash the same command
drafts the rows anew, and the runs' folders say what is left to do.
"""

import gc
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.recipes import codec_settings
from codeclab.experiments.config.words import Words
from codeclab.experiments.runner.baseline_rows import SPLIT, clip_settings, plan_measurement
from codeclab.experiments.runner.compute import Compute
from codeclab.experiments.runner.fit_language_model import refusal
from codeclab.experiments.runner.job import Job, slug
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.timing import batch_seconds
from codeclab.experiments.runs.build import CodecCLI, build_typed
from codeclab.experiments.runs.dry_run import parameters
from codeclab.experiments.runs.measure.stamp import modules_of
from codeclab.experiments.runs.process import Notes
from codeclab.experiments.tracking.describe_run import MadeFor

FLOAT = 4
"""Bytes of a number in a checkpoint."""


@dataclass
class Draft:
    """A row before it is made.

    Attributes:
        row: row of the table.
        jobs: one a seed; none where the row only shows the paper's figures, or cannot be made.
        left: batches still to train, by job.
        seconds: time of a batch, s; None where none was timed.
        size: bytes that a run's checkpoints and codec will take.
        error: reason why it cannot be made.
        usual: batches that its recipe or the scale would train; None where neither says, or it starts from a codec.
        compute: the size of each of its trainings; None where it is not trained.
        start: the run or codec whose weights it starts from, as ``--init`` names it; None is random weights.
        codec_settings: settings of a codec that is only built; None for other rows.
    """

    row: RowSpec
    jobs: list[Job] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    seconds: float | None = None
    size: int = 0
    error: str | None = None
    usual: int | None = None
    compute: Compute | None = None
    start: str | None = None
    codec_settings: dict[str, Any] | None = None

    @property
    def times(self) -> list[float]:
        """Seconds that training will take, by job; 0 where no batch was timed or is left."""
        return [left * (self.seconds or 0.0) for left in self.left]

    @property
    def cut_short(self) -> bool:
        """Whether a flag makes its training shorter than its recipe or scale would."""
        return self.usual is not None and any(job.steps < self.usual for job in self.jobs if job.steps)


def draft_row(row: RowSpec, request: TableRequest, timed: bool = False, notes: Notes | None = None) -> Draft:
    """Build a row's parts and drop them again, so that errors are reported before any row is trained.

    Args:
        row: row of the table.
        request: the command's request for every row.
        timed: whether its batches are timed.
        notes: printer of notes on what the row leaves out of its recipe; shared by rows, nothing is said twice.
    """
    draft = Draft(row)
    try:
        if row.kind == "trained":
            _draft_training(draft, request, timed, notes or Notes())
        elif row.kind in ("codec", "baseline"):
            name = f"{slug(request.spec.name)}-{slug(row.name)}"
            clips = clip_settings(request.scale or request.spec.scale, request.extra.settings)
            clips |= {SPLIT: request.split} if request.split != "test" else {}
            job = Job(
                spec=request.spec_of(row),
                name=name,
                runs=request.runs,
                data=request.data,
                clips=clips,
                imports=[*request.spec.imports, *request.extra.imports],
                workers=request.workers,
            )
            if row.kind == "baseline" and not request.elsewhere:
                with suppress(NotInstalledError):  # making the row says so, in its place
                    plan_measurement(job)
            draft.jobs, draft.left = [job], [0]
        elif row.kind == "recipe":
            draft.codec_settings = codec_settings(str(row.recipe))
    except ValueError as error:
        return Draft(row, error=str(error))
    except Exception as error:  # one row's fault, whatever it is, must not stop the others
        return Draft(row, error=f"{type(error).__name__}: {error}")
    return draft


def _draft_training(draft: Draft, request: TableRequest, timed: bool, notes: Notes) -> None:
    words = request.words(draft.row)
    # A row for another machine is built here, but for what this one has.
    here: list[tuple[str, Any]] = [("trainer.accelerator", "cpu")] if request.elsewhere else []
    cli = _build(draft.row, words, here, notes)
    if cli.config.trainer.num_nodes > 1:
        raise RecipeError("a table trains each row on one machine; leave out --trainer.num_nodes")
    for remark in [] if request.elsewhere else cli.remarks:
        notes(remark)
    if changed := cli.folder.changed_code(cli.settings, modules_of(request.spec.metrics)):
        notes(f"{changed}: remove {cli.folder.path} to make it anew")
    cli.datamodule.check(("test",))  # on which it will be measured
    cli.refuse_differences("choose another --runs")
    first = int(cli.config.seed_everything)
    reason = None if request.language_model is None else refusal(cli.model.codec)
    if reason is not None:
        notes(f"{draft.row.name} gets no language model: {reason}")
    name, devices, steps = cli.folder.path.name, cli.n_devices, int(cli.config.trainer.max_steps)
    accelerator = dict(words.settings).get("trainer.accelerator", "auto")
    for seed in range(request.seeds):
        own = f"{name}-seed{seed}" if seed else name
        made_for = MadeFor(request.spec.name, draft.row.name, seed, cli.request.recipe, cli.request.scale)
        # As requested, without what this machine would choose, such as bfloat16: the row may be made on another.
        config = {**cli.requested, "name": own, "seed_everything": first + seed, "made_for": asdict(made_for)}
        config["trainer"] = {**config["trainer"], "accelerator": accelerator}
        job = Job(
            spec=request.spec_of(draft.row),
            name=own,
            runs=request.runs,
            config=config,
            seed=seed,
            steps=steps,
            devices=devices,
            parameters=parameters(cli.model.codec),
            data=request.data,
            workers=request.workers,
            language_model=None if reason else request.language_model,
        )
        draft.jobs.append(job)
        draft.left.append(max(steps - job.folder.steps, 0))
    draft.size = run_size(cli)
    draft.compute = Compute(steps, cli.datamodule.batch_size, cli.datamodule.seconds)
    # What starts from a trained codec is as long as its row says.
    draft.start = cli.settings["init"]
    draft.usual = None if draft.start else cli.request.steps
    if timed and any(draft.left):
        if devices > 1:
            cli = _build(draft.row, words, [("trainer.devices", "1"), ("trainer.strategy", "auto")], notes)
        draft.seconds = batch_seconds(cli, Path(request.runs), devices)
    del cli  # rows that are made in other processes need the memory of this one, on a GPU above all
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _build(row: RowSpec, words: Words, here: list[tuple[str, Any]], notes: Notes) -> CodecCLI:
    """A row's training with further settings, built and not begun."""
    return build_typed("fit", words.joined(Words(settings=here, dry_run=True)), slug(row.run_label), notes)


def run_size(cli: CodecCLI) -> int:
    """Bytes that a run keeps: its last and its best checkpoint, with two moments a weight, and the codec."""
    whole, codec = (
        sum(value.nbytes for value in module.state_dict().values() if isinstance(value, torch.Tensor))
        for module in (cli.model, cli.model.codec)
    )
    return 2 * (whole + 2 * FLOAT * parameters(cli.model)) + codec
