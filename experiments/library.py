"""codeclab from Python: ``codeclab.train``, ``codeclab.evaluate`` and ``codeclab.table``, and their results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.baselines import Baseline
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS, metrics_named
from codeclab.benchmarks.metrics.synonyms import one_of_each
from codeclab.codecs.bitrate import listed_rates
from codeclab.codecs.codec import Codec
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import bring_files, code_allowed, import_files
from codeclab.experiments.config.words import Flag, typed_words
from codeclab.experiments.runner.make_table import MadeTable, choose_rows, draft_rows, launcher_here, make_table
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runs.build import build_typed
from codeclab.experiments.runs.measure.evaluate import pick_bitrates
from codeclab.experiments.runs.measure.measure import measure
from codeclab.experiments.runs.measure.settings import MeasuringSettings
from codeclab.experiments.runs.measure.subjects import Subject, read_subject
from codeclab.experiments.runs.process import Notes
from codeclab.experiments.train.module import CodecExperiment


@dataclass(frozen=True)
class TrainedRun:
    """A training that has ended.

    Attributes:
        folder: folder of the run: ``config.yaml``, ``checkpoints/``, ``codec/``, ``metrics.csv``, ``samples/``.
        experiment: the LightningModule, with the weights of the last batch.
        steps: number of batches trained, over all its continuations.
    """

    folder: Path
    experiment: CodecExperiment = field(repr=False)
    steps: int

    @cached_property
    def codec(self) -> Codec:
        """The saved codec: that of the best validation, or of the last batch if nothing was validated."""
        return Codec.from_pretrained(self.folder)

    @cached_property
    def metrics(self) -> DataFrame:
        """What was logged, a row per logged batch: ``step``, ``train/...``, ``valid/...``."""
        return pd.read_csv(self.folder / "metrics.csv")


def train(
    recipe: str | Path,
    data: str | Path | None = None,
    run: str | None = None,
    *,
    scale: str | None = None,
    runs: str | Path = "runs",
    imports: Sequence[str | Path] = (),
    run_code: bool = False,
    **flags: Flag,
) -> TrainedRun:
    """Train a codec, or continue the run: what ``codeclab fit`` does.

        run = codeclab.train("encodec_24khz", scale="laptop", model__quantizer=MyVQ, trainer__max_steps=100)
        audio = run.codec.decode(run.codec.encode(audio, bitrate=6.0))

    Args:
        recipe: name of a recipe, path of a YAML file, or folder of a run.
        data: a folder of audio, a manifest, or ``recordings``; None is the recipe's, or the synthetic corpus.
        run: name of the run; None derives it from the settings. The same call continues a run.
        scale: sizes, batch and steps: ``laptop``, ``mini``, ``lab``, ``paper``; None is the recipe's own.
        runs: folder of runs.
        imports: python files with parts of your own, which the run remembers.
        run_code: whether the Python files of runs that are read (``imports/``) may be executed, although this user has
            never imported them. They come with the run: look at them first.
        flags: settings by the names that ``codeclab fit`` has for them, ``__`` for a dot
            (``model__quantizer__codebook_dim=8``), or as they are (``**{"model.quantizer": "FSQ"}``). A part is its
            name or its class.

    Raises:
        ValueError: a recipe, part or setting that does not exist or cannot work, or a run with other settings.
        NonFiniteLossError: a loss became NaN or infinite.
    """
    named = {"config": recipe, "runs": runs, "data.folder": data, "name": run, "scale": scale}
    words = typed_words({name: str(value) for name, value in named.items() if value is not None} | {"import": imports})
    with code_allowed(run_code):
        cli = build_typed("fit", words.joined(typed_words(flags)))
        cli.execute()
    return TrainedRun(cli.folder.path, cli.model, cli.folder.steps)


def evaluate(
    codec: Codec | Baseline | str | Path,
    data: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    bitrates: Sequence[float] | int | None = None,
    split: str | None = None,
    clips: int | None = None,
    seconds: float | None = None,
    max_left_out: float | None = None,
    sample_rate: int | None = None,
    workers: int = 0,
    device: str | None = None,
    imports: Sequence[str | Path] = (),
    run_code: bool = False,
) -> Evaluation:
    """Measure a codec or a baseline: what ``codeclab evaluate`` does, without writing it.

        evaluation = codeclab.evaluate("runs/mine", data="recordings", metrics=["si_sdr", "visqol_speech"], bitrates=2)
        evaluation.summary  # means with 95 % intervals, by bitrate, domain and metric

    Args:
        codec: a ``Codec``, what ``codeclab evaluate`` takes by name or path, or a baseline such as ``Opus()``.
        data: a folder of audio, a manifest, ``recordings`` or ``synthetic``; None is what a run was trained on, or the
            synthetic corpus.
        metrics: names of metrics, from ``codeclab.METRICS``; of the default ones, ViSQOL takes the most time.
        bitrates: bitrates, kbps; a number n stands for n of those offered, from lowest to highest; None for all.
        split: ``test``, ``valid``, ``train`` or ``all``; None is ``test``, or, for a baseline and for a codec by its
            path that was not trained on ``data``, ``all`` of a corpus without a given test split.
        clips: largest number of clips, balanced over the domains; None is the run's own limit.
        seconds: duration that clips are cut to, seconds; None is the run's.
        max_left_out: largest share of unusable files, 0 to 1; None is the run's. One file is never an error.
        sample_rate: sampling rate of the originals, Hz; None is the codec's, or 48 kHz for a baseline that takes any.
        workers: number of processes for ViSQOL; 0 computes it here.
        device: device that a codec runs on; None takes a GPU where there is one.
        imports: python files with parts or metrics of your own.
        run_code: whether the Python files of runs that are read (``imports/``) may be executed, although this user has
            never imported them. They come with the run: look at them first.

    Raises:
        ValueError: an unknown codec or metric, one whose package is missing, a bitrate not offered, or no clips.
    """
    import_files([str(file) for file in imports])
    metrics = one_of_each(metrics)
    metrics_named(metrics)
    if isinstance(codec, str | Path):
        with code_allowed(run_code):
            subject = read_subject(str(codec), device)
    else:
        subject = Subject("codec" if isinstance(codec, Codec) else codec.name, codec)
    own = subject.coder.bitrates
    wanted = bitrates if bitrates is None or isinstance(bitrates, int) else list(bitrates)
    rates = pick_bitrates(own, wanted) if own else wanted
    if not rates or isinstance(rates, int):
        offered = listed_rates(own) or "any: choose some, as in bitrates=[6.0, 12.0]"
        raise ValueError(f"bitrates are {bitrates}; offered are {offered} kbps")
    folder = None if data is None else str(data)
    return measure(
        subject,
        MeasuringSettings(metrics, rates, folder, split, sample_rate, clips, seconds, max_left_out, workers, device),
    )


def table(
    name: str | Path,
    data: str | Path | None = None,
    *,
    scale: str | None = None,
    rows: Sequence[str] | None = None,
    seeds: int | None = None,
    runs: str | Path = "runs",
    fit_lm: str | None = None,
    jobs: int = 1,
    workers: int = 0,
    output: str | Path | None = None,
    imports: Sequence[str | Path] = (),
    run_code: bool = False,
    **flags: Flag,
) -> MadeTable:
    """Train every row of a table that is not trained yet, and measure all: what ``codeclab table`` does.

        table = codeclab.table("demo", rows=["Opus"])
        table.table.rows[0].summary

    Args:
        name: name of a table, or path of a YAML file.
        data: audio to train and measure on; None is the table's own, or the synthetic corpus.
        scale: name of the scale; None is the table's own, else the recipes'.
        rows: names of rows; None is all.
        seeds: number of trainings of each row; None is the scale's, else one.
        runs: folder of runs.
        fit_lm: recipe of the language model that is trained on each row's codes; None trains none.
        jobs: number of rows made at a time, on the CPU, each in a process of its own; 1 makes them here, in turn.
        workers: number of processes for ViSQOL, of each row.
        output: folder that the table is written to; None names a folder of runs after the table and its scale.
        imports: python files with parts or metrics of your own, for every row.
        run_code: whether the Python files of runs that are read (``imports/``) may be executed, although this user has
            never imported them. They come with the run: look at them first.
        flags: settings of every row, as for ``train``.

    Raises:
        ValueError: there is no such table, row or scale, or no row can be trained for one reason, such as an unknown
            setting. A row that cannot be made for a reason of its own is one with an ``error``.
    """
    if min(jobs, 1 if seeds is None else seeds) < 1:
        raise RecipeError(f"jobs and seeds should be 1 or more; they are {jobs} and {seeds}")
    words = typed_words({"import": imports}).joined(typed_words(flags))
    bring_files(words.imports)  # for rows that are not trained, and for metrics
    spec = read_table(str(name))
    metrics_named(spec.metrics)
    slots = [None] * jobs if jobs > 1 else []
    request = TableRequest.of(
        spec,
        data=None if data is None else str(data),
        scale=scale,
        seeds=seeds,
        fit_lm=fit_lm,
        runs=str(runs),
        extra=words,
    ).on(slots, workers)
    with code_allowed(run_code):
        drafts = draft_rows(request, choose_rows(spec, None if rows is None else list(rows)), slots, Notes())
        launcher = launcher_here(Path(runs), slots)
        return make_table(request, drafts, slots, launcher, None if output is None else Path(output))
