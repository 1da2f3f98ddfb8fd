"""The sources of a report's rows: folders of runs, and folders written by ``codeclab table``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.listening.figures import with_figures
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.grid import NOT_RANKED, notes
from codeclab.benchmarks.tables.record import MetricsUnknownError, is_table, read_record
from codeclab.benchmarks.tables.row import Origin, RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.missing import missing
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_from
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.measure.clip_sets import ClipSet, are_different, clips_remark
from codeclab.experiments.runs.measure.evaluate import data_of
from codeclab.experiments.runs.measure.stamp import Stamp
from codeclab.experiments.runs.training_data import label_of, run_of

FIGURES = "evaluation.json"
"""File of an evaluation that is written last."""


@dataclass(frozen=True)
class RowSource:
    """The source of a row.

    Attributes:
        row: name of the row.
        folder: folder of the run, or of a baseline's or published codec's figures.
        figures: folder of its evaluation.
    """

    row: str
    folder: RunFolder
    figures: Path

    @property
    def evaluation(self) -> Evaluation:
        """What was measured."""
        return Evaluation.load(self.figures)

    @property
    def clip_set(self) -> ClipSet:
        """The clips that were measured, and the rate of the originals."""
        return ClipSet.of_evaluation(self.evaluation, self.audio, self.sample_rate)

    @property
    def stamp(self) -> Stamp | None:
        """The settings of a table's measurement; None after ``codeclab evaluate``."""
        return Stamp.read(self.figures)

    @property
    def audio(self) -> str | None:
        """The folder that a table's measurement names; None where the audio is the run's own, or synthetic."""
        stamp = self.stamp
        return stamp.folder if stamp else None

    @property
    def sample_rate(self) -> int:
        """Sampling rate of the originals that it was measured against, Hz."""
        stamp = self.stamp
        info = self.evaluation.info
        return stamp.sample_rate if stamp else (info.get(BASIS) or info)["sample_rate"]

    def data(self, codec: Codec, folder: str | None, sample_rate: int, beside: Sequence["RowSource"]) -> AudioData:
        """The data on which the run was measured.

        Args:
            codec: codec of the run.
            folder: folder of audio in place of the run's; None keeps it.
            sample_rate: sampling rate of the originals, Hz.
            beside: sources of other runs, none of whose training files is a test clip.
        """
        runs = [source.folder.path for source in beside]
        return data_of(self.folder.path, folder or self.audio, codec, sample_rate, beside=runs)

    @property
    def history(self) -> DataFrame | None:
        """What the run logged; None where it was not trained here."""
        return pd.read_csv(self.folder.metrics) if self.folder.metrics.is_file() else None


@dataclass(frozen=True)
class Sources:
    """A comparison and the sources of its rows.

    Attributes:
        table: table of the comparison.
        notes: lines under the table.
        row_sources: sources of the rows that have one, in the table's order.
    """

    table: Table
    notes: list[str]
    row_sources: list[RowSource]


def read_sources(paths: Iterable[Path], repeated: bool = False) -> Sources:
    """The rows of some runs and at most one table.

    Args:
        paths: folders of runs, and a folder that ``codeclab table`` wrote, which brings its rows' runs along.
        repeated: whether a run that is given by several paths has as many rows, as in a listening test; otherwise
            it has one.

    Raises:
        RecipeError: no folder is given; or a folder is neither, holds no figures, or is a second table.
        TableRecordError: the table's folder is an older version's.
    """
    real_path = Path.resolve if repeated else _real_path
    by_real_path: dict[Path, Path] = {}
    for path in map(Path, paths):
        by_real_path.setdefault(real_path(path), path)
    paths = list(by_real_path.values())
    if not paths:
        raise RecipeError("no run and no table is given; a report takes one or more, such as runs/NAME")
    tables = [path for path in paths if is_table(path)]
    if len(tables) > 1:
        raise RecipeError(
            f"{tables[0]} and {tables[1]} are both tables; a report takes one table, to which runs can be added"
        )
    runs = [path for path in paths if path not in tables]
    table = _table(tables[0]) if tables else None
    rows = list(table.rows) if table else []
    row_sources = [source for row in rows if (source := _behind(row))]
    behind = {source.folder.path.resolve() for source in row_sources}
    of_table = {origin.run.resolve(): origin.evaluation for row in rows for origin in _measured_origins(row)}
    names = {row.name for row in rows}
    for path in runs:
        if real_path(path) in behind:
            continue
        source = _run(path, names, of_table)
        names.add(source.row)
        row_sources.append(source)
        rows.append(_row(source))
    codes = {source.row: source.evaluation.codebooks for source in row_sources}
    rows = [replace(row, codebooks=codes[row.name]) if len(codes.get(row.name, ())) else row for row in rows]
    clip_sets = [(source.row, source.clip_set) for source in row_sources]
    if table is None:
        used = {name for row in rows if row.summary is not None for name in row.summary["metric"]}
        metrics = [name for name in METRICS if name in used]
        columns = ["mushra"] if any(row.listened for row in rows) else []
        table = Table("Comparison of runs" if len(rows) > 1 else rows[0].name, "", metrics, rows, columns=columns)
        lines = [note for note in notes(table) if note != NOT_RANKED]
        return Sources(table, [*lines, clips_remark(clip_sets)], row_sources)
    lines = notes(table)
    if runs and are_different(clip_sets):  # of its own rows a table says so itself
        lines.append(clips_remark(clip_sets))
    return Sources(replace(table, rows=rows), lines, row_sources)


def _table(folder: Path) -> Table:
    """The table in a folder; metrics of the user's own are taken from its runs if they are not imported yet."""
    try:
        return read_record(folder)
    except MetricsUnknownError as error:
        for run in dict.fromkeys(error.runs):
            import_from(run)
        return read_record(folder)


def _real_path(path: Path) -> Path:
    """The real path of a run's folder, also where the codec in it is named; else that of the path itself."""
    run = run_of(path)
    return (path if run is None else run.path).resolve()


def has_figures(path: Path) -> bool:
    """Whether a folder was written by ``codeclab table``, or is a run that was measured."""
    run = run_of(path)
    return is_table(path) or _figures_of(path if run is None else run.path) is not None


def _figures_of(path: Path) -> Path | None:
    """A run's own figures: those of ``codeclab evaluate``, else those of the table it was measured for last.

    A table's figures without a stamp are being measured again, so that others are taken where there are some.
    """
    if (path / "evaluation" / FIGURES).is_file():
        return path / "evaluation"
    measured = {file.parent: file.stat().st_mtime for file in path.glob(f"tables/*/{FIGURES}")}
    return max(measured, key=lambda folder: (Stamp.read(folder) is not None, measured[folder]), default=None)


def _run(path: Path, taken: set[str], of_table: Mapping[Path, Path]) -> RowSource:
    """A run as a row; ``of_table`` has the figures of the runs that a table's rows are means of."""
    run = run_of(path) or RunFolder(path)
    figures = of_table.get(run.path.resolve()) or _figures_of(run.path)
    if figures is None:
        if not path.exists():
            raise RecipeError(f"{missing(str(path))}; give runs, or what `codeclab table` wrote")
        if not path.is_dir():
            raise RecipeError(f"{path} is not a folder; give run folders (runs/NAME) or what `codeclab table` wrote")
        raise RecipeError(f"{path} holds no figures; make them with `codeclab evaluate {path}`")
    name = label_of(path)
    return RowSource(name if name not in taken else str(path), run, figures)


def _row(source: RowSource) -> RowResult:
    evaluation = source.evaluation
    row = RowResult.named(source.row, evaluation.summary, wall_seconds=source.folder.train_seconds)
    info = evaluation.info
    return with_figures(row, source.folder.path.parent, info.get("codec") or info.get("baseline"))


def _behind(row: RowResult) -> RowSource | None:
    """The run of a table's row (of several seeds, the first that still exists); None if there is none."""
    origin = next(iter(_measured_origins(row)), None)
    return None if origin is None else RowSource(row.name, RunFolder(origin.run), origin.evaluation)


def _measured_origins(row: RowResult) -> list[Origin]:
    """The origins of a table's row whose figures still exist."""
    return [origin for origin in row.origins if (origin.evaluation / FIGURES).is_file()]
