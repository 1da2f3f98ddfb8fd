"""Rows of a table that are measured and not trained: baselines, and published or own codecs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.baselines import Baseline, make_baseline
from codeclab.benchmarks.baselines.columns import baseline_columns
from codeclab.benchmarks.baselines.registry import describe_baseline
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.benchmarks.tables.row import RowSpec
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.parts import read_value
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runner.job import Job, slug
from codeclab.experiments.runner.spec import TableSpec, none_offered
from codeclab.experiments.runs.corpus_record import content_digest
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.measure.evaluate import evaluate_on, pick_bitrates
from codeclab.experiments.runs.measure.stamp import Stamp, code_of
from codeclab.experiments.runs.training_data import known_splits

SPLIT = "split"
"""Beside those settings, the split on which a row that is not trained is measured; the default is test."""

MAX_LEFT_OUT = "max_left_out"
"""Beside those settings, the share of files that may be unusable; figures do not depend on it."""

CLIP_SETTINGS = {
    f"data.{name}": name for name in ("valid_clips", "max_test_clips", "clip_seconds", "split_seed", MAX_LEFT_OUT)
}
"""The data settings, besides the folder, that choose the clips of a row: the argument of ``AudioData`` for each."""


@dataclass(frozen=True)
class Measurement:
    """The measurement of a row that is not trained.

    Attributes:
        subject: the codec or baseline.
        bitrates: kbps.
        clips: the data it is measured on.
        split: split of the data.
        stamp: all that its figures depend on.
        folder: folder in which its figures are kept, named by the stamp.
    """

    subject: Codec | Baseline
    bitrates: list[float]
    clips: AudioData
    split: str
    stamp: Stamp
    folder: Path


def plan_measurement(job: Job) -> Measurement:
    """What ``measure_untrained`` will measure, and the folder of its figures.

    Args:
        job: job of the row, whose ``clips`` are those of ``clip_settings`` and ``SPLIT``, the part they are of.

    Raises:
        RecipeError: the row offers none of the bitrates, or the table gives no sample rate.
        ValueError: there is no such codec or baseline.
    """
    row, spec = job.row, job.spec
    subject = untrained(row)
    of: str | dict[str, Any]
    if isinstance(subject, Codec):
        rates, of = spec.rates_of(row, subject.bitrates), identity(subject)
        rate, channels = spec.sample_rate or subject.sample_rate, subject.channels
    else:
        rates, of = _rates(row, spec, subject), describe_baseline(subject)
        if isinstance(subject, TokenCodec):
            of["fingerprint"] = subject.fingerprint
        rate, channels = spec.sample_rate or subject.sample_rate or 0, subject.channels or 1
    if not rates:
        raise RecipeError(f"{row.name}: {none_offered(subject.bitrates)}")
    if not rate:
        raise RecipeError(f"{row.name}: the table needs a 'sample_rate', the Hz at which its rows are compared")
    clips = {key: value for key, value in job.clips.items() if key != MAX_LEFT_OUT}
    settings = dict(job.clips)
    split = settings.pop(SPLIT, "test")
    module = AudioData(folder=job.data, sample_rate=rate, channels=channels, batch_size=1, workers=0, **settings)
    module.known_splits = known_splits(map(Path, job.beside), job.data)
    audio = content_digest(module.clips(split).recordings)
    code = code_of(spec.metrics)
    stamp = Stamp(of, list(spec.metrics), rates, job.data, rate, [], channels, clips, code=code, audio=audio)
    return Measurement(subject, rates, module, split, stamp, _folder(Path(job.runs), row, stamp))


def measure_untrained(job: Job, plan: Measurement | None = None) -> Evaluation:
    """Measure a row that has a ``codec`` or a ``baseline``, on the clips that the table's trained rows are measured on.

    Figures are kept in a folder of ``runs`` that is named by all that they depend on, and not measured again.

    Args:
        job: job of the row.
        plan: its measurement, if it is planned; else ``plan_measurement`` plans it, and its errors are raised too.

    Raises:
        NotInstalledError: the baseline's program or models are missing (the message says how to get them).
        RuntimeError: the baseline failed.
    """
    plan = plan or plan_measurement(job)
    with RunLock(Path(job.runs), plan.folder.parent.name, "measure") as lock:
        if not lock.acquire():  # another table may have the same row
            print(f"{job.row.name}: waiting: {lock.holder or 'another process'} is measuring it", file=sys.stderr)
            lock.acquire(wait=True)
        if Stamp.read(plan.folder) is not None:
            return Evaluation.load(plan.folder)
        title = f"{job.row.name}, measuring"
        evaluation = evaluate_on(
            plan.clips, plan.subject, plan.bitrates, job.spec.metrics, plan.split, job.workers, title=title
        )
        evaluation.save(plan.folder)
        plan.stamp.write(plan.folder)
    return evaluation


def untrained_columns(subject: Codec | Baseline, spec: TableSpec, evaluation: Evaluation) -> DataFrame:
    """The table's columns of a row that is not trained, as lines to append to its summary.

    Args:
        subject: codec or baseline of the row.
        spec: its table.
        evaluation: measurement of the row.
    """
    rates = sorted(evaluation.per_file["bitrate_kbps"].unique())
    if isinstance(subject, Codec):
        return codec_columns(subject, spec.columns, rates)
    return baseline_columns(subject, spec.columns, rates, spec.sample_rate)


def untrained(row: RowSpec) -> Codec | Baseline:
    """What a row that is not trained measures.

    Raises:
        ValueError: there is no such codec or baseline.
    """
    if row.codec is not None:
        return Codec.from_pretrained(row.codec)
    if row.baseline is None:
        raise RecipeError(f"{row.name}: a row that is not trained has a 'codec' or a 'baseline'")
    return make_baseline(row.baseline)


def clip_settings(scale: str | None, settings: Sequence[tuple[str, Any]] = ()) -> dict[str, Any]:
    """Settings of ``AudioData`` for the clips on which a table's rows are measured, where they are not its defaults.

    Args:
        scale: name of the rows' scale; None is the recipes' own size.
        settings: dotted names and values, as ``Words`` has them, for every row; they go before the scale's.
    """
    flags = (read_scale(scale)["flags"] if scale else {}) | dict(settings)
    return {
        CLIP_SETTINGS[name]: read_value(name, value) if isinstance(value, str) else value
        for name, value in flags.items()
        if name in CLIP_SETTINGS
    }


def _rates(row: RowSpec, spec: TableSpec, baseline: Baseline) -> list[float]:
    """The kbps given by the row or the paper that are offered, else those of the table."""
    offered = baseline.bitrates
    if isinstance(baseline, TokenCodec) and not isinstance(row.bitrates, list):
        return pick_bitrates(offered, spec.bitrates if row.bitrates is None else row.bitrates)
    named = spec.rates_of(row, [])
    return [rate for rate in named if not offered or pick_bitrates(offered, [rate])] or spec.rates_of(row, offered)


def _folder(runs: Path, row: RowSpec, stamp: Stamp) -> Path:
    of = stamp.of
    if isinstance(of, str):
        name = Path(str(row.codec)).stem
    else:
        name = of.get("name") or Path(of.get("model") or of.get("file") or of["part"]).stem
    return runs / f"{slug(name)}-{stamp.digest}" / "evaluation"
