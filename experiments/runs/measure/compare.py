"""Measures runs, codecs and baselines on the same clips, for one table with paired differences."""

from collections.abc import Callable, Sequence
from pathlib import Path

from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.evaluate.adding import added
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import REQUESTED_KBPS
from codeclab.benchmarks.tables.row import ABSENT, RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.bitrate import about_bitrate, listed_rates
from codeclab.codecs.codec import Codec
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import corpus_title
from codeclab.experiments.runs.left_out import note_left_out, noted
from codeclab.experiments.runs.measure.evaluate import FULL_BAND, data_of, evaluate_on, limit, usual_split
from codeclab.experiments.runs.measure.keep_evaluation import keep
from codeclab.experiments.runs.measure.measure import identified
from codeclab.experiments.runs.measure.settings import MeasuringSettings
from codeclab.experiments.runs.measure.subjects import Subject
from codeclab.experiments.runs.training_data import run_of


def common_data(subjects: Sequence[Subject], settings: MeasuringSettings) -> tuple[AudioData, str]:
    """The audio that all subjects are measured on, and its split."""
    codecs = [subject.coder for subject in subjects if isinstance(subject.coder, Codec)]
    rate = settings.sample_rate or max((codec.sample_rate for codec in codecs), default=FULL_BAND)
    runs = [subject.run for subject in subjects if subject.run is not None]
    data = data_of(next(iter(runs), None), settings.data, subjects[0].coder, rate, beside=runs[1:])
    data.channels = min((codec.channels for codec in codecs), default=1)
    limit(data, settings.clips, settings.seconds, settings.max_left_out)
    return data, settings.split or usual_split(runs, data)


def common_rates(subjects: Sequence[Subject], requested: Sequence[float] | None) -> list[float]:
    """The bitrates of the comparison, kbps, ascending: those requested, or else all that the codecs offer.

    Raises:
        RecipeError: none are requested, and there is no codec that offers some.
    """
    if requested:
        return sorted(requested)
    codecs = [subject.coder for subject in subjects if isinstance(subject.coder, Codec)]
    offered = sorted({rate for codec in codecs for rate in codec.bitrates})
    if not offered:
        raise RecipeError("a baseline takes any bitrate: choose some, as in --bitrates 6 12")
    return offered


def measure_at(
    subject: Subject, data: AudioData, split: str, rates: Sequence[float], settings: MeasuringSettings
) -> Evaluation:
    """Measure one subject at those of the bitrates that it offers.

    Args:
        subject: run, codec or baseline.
        data: audio that all subjects are measured on.
        split: the part of the data.
        rates: bitrates of the comparison, kbps.
        settings: metrics, workers and device.

    Raises:
        RecipeError: it offers none of the bitrates.
        RuntimeError: a baseline is not installed, or failed.
    """
    coder, offered = subject.coder, subject.coder.bitrates
    if isinstance(coder, Codec):
        wanted = [own for own in offered if any(about_bitrate(own, rate) for rate in rates)]
    else:  # it is asked for the rate itself, and takes any where it names none
        wanted = [rate for rate in rates if not offered or any(about_bitrate(own, rate) for own in offered)]
    if not wanted:
        raise RecipeError(f"it offers {listed_rates(offered)} kbps, none of those requested")

    def evaluate_at(some: list[float]) -> Evaluation:
        title = f"{subject.name}, measuring"
        return evaluate_on(data, coder, some, settings.metrics, split, settings.workers, settings.device, title)

    evaluation = evaluate_at(wanted) if isinstance(coder, Codec) else measure_at_each(evaluate_at, wanted)
    return identified(evaluation, subject, data, split)


def measure_at_each(evaluate_at: Callable[[list[float]], Evaluation], rates: Sequence[float]) -> Evaluation:
    """Measure a baseline at those of the bitrates that it can code at; some baselines reveal this only by an error.

    Args:
        evaluate_at: function that measures at bitrates, and raises ValueError for one that the baseline cannot code at.
        rates: bitrates, kbps.

    Raises:
        ValueError: it can code at none of them.
    """
    evaluation: Evaluation | None = None
    refused: ValueError | None = None
    for rate in rates:
        try:
            one = evaluate_at([rate])
        except ValueError as error:
            refused = error
        else:
            evaluation = one if evaluation is None else _both(evaluation, one)
    if evaluation is None:
        assert refused is not None
        raise refused
    return evaluation


def _both(before: Evaluation, later: Evaluation) -> Evaluation:
    """A baseline's measurements at several bitrates and at one more, with the files that any of them left out."""
    both = added(before, later)
    note_left_out(both.info, noted(before.info).joined(noted(later.info)))
    return both


def row_of(subject: Subject, evaluation: Evaluation) -> RowResult:
    """A table's row; a baseline is compared at the requested bitrate, whatever it really used."""
    per_file = evaluation.per_file
    if REQUESTED_KBPS in per_file:
        per_file = per_file.assign(bitrate_kbps=per_file[REQUESTED_KBPS])
    spent = evaluation.as_spent()
    run = None if subject.path is None else run_of(subject.path)
    return RowResult.named(
        subject.name,
        spent.summary,
        requested=spent.requested,
        per_file=[per_file],
        wall_seconds=None if run is None else run.train_seconds,
    )


def compare(
    subjects: Sequence[Subject],
    data: AudioData,
    split: str,
    rates: Sequence[float],
    settings: MeasuringSettings,
    output: Path,
) -> Table:
    """Measure every subject, and make the table; a subject that cannot be measured is a row with its error.

    Args:
        subjects: runs, codecs and baselines, under different names.
        data: audio that all are measured on, from ``common_data``.
        split: the part of the data.
        rates: bitrates of the comparison, kbps, from ``common_rates``.
        settings: metrics, workers and device.
        output: folder in which each subject's evaluation is stored, or extends the stored one.
    """
    rows, left_out = [], LeftOut()
    for subject in subjects:
        try:
            measured = measure_at(subject, data, split, rates, settings)
            left_out = left_out.joined(noted(measured.info))
            evaluation, _ = keep(measured, output / subject.name)
            rows.append(row_of(subject, evaluation))
        except NotInstalledError as error:
            rows.append(RowResult.named(subject.name, error=f"{ABSENT}{error}"))
        except (ValueError, RuntimeError, OSError) as error:
            rows.append(RowResult.named(subject.name, error=f"{type(error).__name__}: {error}"))
    clips = "all clips" if split == "all" else f"{split} clips"
    note = f"Measured on {clips} of {corpus_title(data.folder)} against originals at {data.sample_rate / 1000:g} kHz."
    notes = [note, *(f"{line}." for line in [left_out.line] if line)]
    against = next((row.name for row in rows if row.per_file), None)
    title = ", ".join(subject.name for subject in subjects)
    return Table(title, "", list(settings.metrics), rows, notes, ranked=True, against=against)
