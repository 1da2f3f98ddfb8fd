"""``codeclab compare A B Opus``: runs, codecs and baselines on the same clips, in one table with paired differences."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codeclab.benchmarks.baselines import BASELINES, Baseline
from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.evaluate.adding import BASIS, added
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import ASKED_KBPS
from codeclab.benchmarks.tables.render import print_table, write_table
from codeclab.benchmarks.tables.row import ABSENT, RowResult
from codeclab.benchmarks.tables.table import NEAR, Table
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.missing import located
from codeclab.experiments.cli.evaluate import check_metrics
from codeclab.experiments.cli.options.compare import make_parser
from codeclab.experiments.config.recipes import RecipeError, import_file
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import corpus_title
from codeclab.experiments.runs.evaluate import FULL_BAND, data_of, evaluate_on, limit, read_baseline, usual_split
from codeclab.experiments.runs.keep_evaluation import basis, keep
from codeclab.experiments.runs.left_out import note_both, noted
from codeclab.experiments.runs.training_data import label_of, run_of


@dataclass(frozen=True)
class Subject:
    """A run, codec or baseline that is compared.

    Attributes:
        name: of its row: the run's name, the codec's or the baseline's.
        path: the run's folder, or the argument of ``Codec.from_pretrained``.
        what: the codec or baseline.
    """

    name: str
    path: Path
    what: Codec | Baseline


def read_subjects(words: Sequence[str]) -> list[Subject]:
    """The runs, codecs and baselines that the words name, under different names.

    Raises:
        RecipeError: one is given twice.
        ValueError: there is no such run, codec or baseline.
    """
    subjects: list[Subject] = []
    for word in words:
        path = Path(word)
        if word in BASELINES and not path.exists():
            subjects.append(Subject(word, path, read_baseline([word])))
        else:
            path = located(word)
            subjects.append(Subject(label_of(path), path, Codec.from_pretrained(word)))
    names = [subject.name for subject in subjects]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise RecipeError(f"{twice[0]} is given twice; rows need different names")
    return subjects


def clips_for(subjects: Sequence[Subject], options: argparse.Namespace) -> tuple[AudioData, str]:
    """The audio that all are measured on, and its split."""
    codecs = [subject.what for subject in subjects if isinstance(subject.what, Codec)]
    rate = options.sample_rate or max((codec.sample_rate for codec in codecs), default=FULL_BAND)
    runs = [subject.path for subject in subjects if isinstance(subject.what, Codec) and run_of(subject.path)]
    data = data_of(next(iter(runs), None), options.data, subjects[0].what, rate, beside=runs[1:])
    data.channels = min((codec.channels for codec in codecs), default=1)
    limit(data, options.clips, options.seconds, options.max_left_out)
    return data, options.split or usual_split(runs, data.folder)


def rates_for(subjects: Sequence[Subject], requested: Sequence[float] | None) -> list[float]:
    """The bitrates of the comparison, in kbps.

    Raises:
        RecipeError: nothing says which.
    """
    if requested:
        return sorted(requested)
    codecs = [subject.what for subject in subjects if isinstance(subject.what, Codec)]
    offered = sorted({rate for codec in codecs for rate in codec.bitrates})
    if not offered:
        raise RecipeError("a baseline takes any bitrate: choose some, as in --bitrates 6 12")
    return offered


def measure(
    subject: Subject, data: AudioData, split: str, rates: Sequence[float], options: argparse.Namespace
) -> Evaluation:
    """Measure one subject at those of the rates that it offers.

    Raises:
        RecipeError: it offers none of them.
        RuntimeError: a baseline is not installed, or failed.
    """
    title, offered = f"{subject.name}, measuring", subject.what.bitrates
    if isinstance(subject.what, Codec):
        wanted = [own for own in offered if any(abs(own - rate) <= NEAR * rate for rate in rates)]
    else:  # it is asked for the rate itself, and takes any where it names none
        wanted = [rate for rate in rates if not offered or any(abs(rate - own) <= NEAR * rate for own in offered)]
    if not wanted:
        raise RecipeError(f"it offers {', '.join(f'{own:.4g}' for own in offered)} kbps, none of those asked for")

    def measure_at(some: list[float]) -> Evaluation:
        return evaluate_on(data, subject.what, some, options.metrics, split, options.workers, options.device, title)

    evaluation = measure_at(wanted) if isinstance(subject.what, Codec) else measure_at_each(measure_at, wanted)
    of = evaluation.info["codec"] or evaluation.info["baseline"]
    evaluation.info |= {"name": subject.name, BASIS: basis(of, data, split)}
    return evaluation


def measure_at_each(measure_at: Callable[[list[float]], Evaluation], rates: Sequence[float]) -> Evaluation:
    """Measure a baseline at those of the rates that it can code at; some baselines reveal this only by an error.

    Raises:
        ValueError: it can code at none of them.
    """
    evaluation: Evaluation | None = None
    refused: ValueError | None = None
    for rate in rates:
        try:
            one = measure_at([rate])
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
    note_both(both.info, before.info, later.info)
    return both


def row_of(subject: Subject, evaluation: Evaluation) -> RowResult:
    """A table's row; a baseline is compared at the requested bitrate, whatever it really used."""
    per_file = evaluation.per_file
    if ASKED_KBPS in per_file:
        per_file = per_file.assign(bitrate_kbps=per_file[ASKED_KBPS])
    spent = evaluation.as_spent()
    return RowResult.named(subject.name, spent.summary, requested=spent.requested, per_file=[per_file])


def run(command: str, argv: list[str]) -> int:
    """``codeclab compare``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        for file in options.imports:
            import_file(file)
        options.metrics = check_metrics(options.metrics)
        subjects = read_subjects(options.subjects)
        data, split = clips_for(subjects, options)
        rates = rates_for(subjects, options.bitrates)
        data.check((split,))
    except (ValueError, NotInstalledError) as error:
        print(f"codeclab compare: {error}", file=sys.stderr)
        return 2
    names = [subject.name for subject in subjects]
    output = Path(options.output) if options.output else Path("comparisons") / "-".join(names)
    rows, left_out = [], LeftOut()
    for subject in subjects:
        try:
            measured = measure(subject, data, split, rates, options)
            left_out = left_out.joined(noted(measured.info))
            evaluation, _ = keep(measured, output / subject.name)
            rows.append(row_of(subject, evaluation))
        except NotInstalledError as error:
            rows.append(RowResult.named(subject.name, error=f"{ABSENT}{error}"))
        except (ValueError, RuntimeError, OSError) as error:
            rows.append(RowResult.named(subject.name, error=f"{type(error).__name__}: {error}"))
    clips = "all clips" if split == "all" else f"{split} clips"
    note = f"Measured on {clips} of {corpus_title(data.folder)} against originals at {data.sample_rate / 1000:g} kHz."
    against = next((row.name for row in rows if row.per_file), None)
    notes = [note, *(f"{line}." for line in [left_out.line] if line)]
    table = Table(", ".join(names), "", options.metrics, rows, notes, ranked=True, against=against)
    write_table(table, output)
    print_table(table)
    print(f"written to {output}: table.md, table.csv, table.tex, table.png")
    return 1 if any(row.error is not None and not row.absent for row in rows) else 0
