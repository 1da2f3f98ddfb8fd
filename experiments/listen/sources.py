"""Where a report's rows come from: folders of runs, and folders that ``codeclab table`` wrote."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import ALL, SUMMARY_COLUMNS
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.grid import AGAINST, NOT_RANKED, NOT_THE_PAPERS, notes
from codeclab.benchmarks.tables.table import Figures, Row, Table
from codeclab.experiments.config.recipes import RecipeError
from codeclab.experiments.runner.collect import train_seconds
from codeclab.experiments.runner.job import slug
from codeclab.experiments.runner.listening import add_figures
from codeclab.experiments.runs.folder import RunFolder


@dataclass(frozen=True)
class Source:
    """What stands behind a row.

    Attributes:
        row: the row's name.
        folder: of the run, or of a baseline's or published codec's figures.
        figures: the folder of its evaluation.
    """

    row: str
    folder: RunFolder
    figures: Path

    @property
    def evaluation(self) -> Evaluation:
        """What was measured."""
        return Evaluation.load(self.figures)

    @property
    def stamp(self) -> dict[str, Any]:
        """What a table's runner measured it with; empty after ``codeclab evaluate``."""
        path = self.figures / "table.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    @property
    def history(self) -> DataFrame | None:
        """What the run logged; None where it was not trained here."""
        return pd.read_csv(self.folder.metrics) if self.folder.metrics.is_file() else None


@dataclass(frozen=True)
class Sources:
    """A comparison and what stands behind its rows.

    Attributes:
        table: the comparison.
        notes: lines under it.
        found: the sources of the rows that have one, in the table's order.
    """

    table: Table
    notes: list[str]
    found: list[Source]


def read_sources(paths: Iterable[Path]) -> Sources:
    """The rows of some runs and at most one table.

    Args:
        paths: run folders, and a folder that ``codeclab table`` wrote, which brings its rows' runs along.

    Raises:
        RecipeError: one is neither, holds no figures, or a second table is given.
    """
    paths = list(dict.fromkeys(Path(path) for path in paths))
    tables = [path for path in paths if (path / "table.csv").is_file()]
    if len(tables) > 1:
        raise RecipeError(f"{tables[0]} and {tables[1]} are both tables; a report has one: add runs to it, not tables")
    runs = [path for path in paths if path not in tables]
    table, under = read_table_folder(tables[0]) if tables else (None, [])
    rows = list(table.rows) if table else []
    around = [path.resolve().parent for path in [*tables, *runs]]
    found = [source for row in rows if (source := _behind(row, tables[0], around))]
    behind = {source.folder.path.resolve() for source in found}
    names = {row.name for row in rows}
    for path in runs:
        if path.resolve() in behind:
            continue
        source = _run(path, names)
        names.add(source.row)
        found.append(source)
        rows.append(_row(source))
    for source in found:
        codes = source.evaluation.codebooks
        next(row for row in rows if row.name == source.row).codebooks = codes if len(codes) else None
    if table is None:
        used = {name for row in rows if row.summary is not None for name in row.summary["metric"]}
        metrics = [name for name in METRICS if name in used]
        columns = ["mushra"] if any(row.listened for row in rows) else []
        table = Table("Comparison of runs" if len(rows) > 1 else rows[0].name, "", metrics, rows, columns=columns)
        under = [note for note in notes(table) if note != NOT_RANKED]
    table.rows = rows
    return Sources(table, under, found)


def read_table_folder(folder: Path) -> tuple[Table, list[str]]:
    """A table as it was written, and the lines under it.

    Args:
        folder: with ``table.csv`` and ``table.md``.
    """
    content = pd.read_csv(folder / "table.csv", keep_default_na=False, dtype=str)
    text = (folder / "table.md").read_text(encoding="utf-8").splitlines() if (folder / "table.md").is_file() else []
    plain = [re.sub(r"\\([\\|*_`<\[])", r"\1", line) for line in text]
    title = next((line[3:] for line in plain if line.startswith("## ")), folder.name)
    # What is not in the file of figures, rows clip by clip, is not on the page either, nor what is said of it.
    under = [line[2:] for line in plain if line.startswith("* ") and not line.startswith(f"* {AGAINST}")]
    measured = set(content.loc[content["mean"] != "", "metric"])
    names = list(dict.fromkeys(content["metric"]))
    rows = [_table_row(str(name), lines) for name, lines in content.groupby("row", sort=False)]
    return Table(
        title=title,
        source="",
        metrics=[name for name in names if name in METRICS],
        rows=rows,
        ranked=NOT_RANKED not in under,
        full_size=not {NOT_RANKED, NOT_THE_PAPERS} & set(under),
        columns=[name for name in names if name in COLUMNS and (name in measured or COLUMNS[name].open)],
    ), under


def _table_row(name: str, cells: DataFrame) -> Row:
    own = cells[(cells["mean"] != "") & (cells["metric"] != "")]
    summary = own[SUMMARY_COLUMNS].copy()
    for column in ("bitrate_kbps", "mean", "ci95", "n", "failed"):
        summary[column] = pd.to_numeric(summary[column])
    figures = [
        Figures(
            {metric: _figure(text) for metric, text in zip(group["metric"], group["published"], strict=True) if text},
            float(str(rate)) if rate else None,
            str(label) or None,
            str(domain),
        )
        for (domain, rate, label), group in cells.groupby(["domain", "bitrate_kbps", "label"], sort=False)
    ]
    first = cells.iloc[0]
    return Row(
        name=name,
        summary=summary if len(summary) else None,
        figures=[stated for stated in figures if stated.published],
        wall_seconds=float(first["wall_seconds"]) if first["wall_seconds"] else None,
        parameters=int(float(first["parameters"])) if first["parameters"] else None,
        error=first["error"] or None,
    )


def _figure(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def has_figures(path: Path) -> bool:
    """Whether a folder is what ``codeclab table`` wrote, or that of a run that was measured."""
    return (path / "table.csv").is_file() or _figures_of(path) is not None


def _figures_of(path: Path) -> Path | None:
    """A run's own figures: those of ``codeclab evaluate``, else those of the table it was measured for last."""
    kept = [path / "evaluation", *sorted(path.glob("tables/*"), key=lambda found: found.stat().st_mtime, reverse=True)]
    return next((folder for folder in kept if (folder / "evaluation.json").is_file()), None)


def _run(path: Path, taken: set[str]) -> Source:
    figures = _figures_of(path)
    if figures is None:
        if not path.is_dir():
            raise RecipeError(f"{path} is no folder; give run folders (runs/NAME) or what `codeclab table` wrote")
        raise RecipeError(f"{path} holds no figures; make them with `codeclab evaluate {path}`")
    name = path.resolve().name
    return Source(name if name not in taken else str(path), RunFolder(path), figures)


def _row(source: Source) -> Row:
    evaluation = source.evaluation
    row = Row(source.row, evaluation.summary, wall_seconds=train_seconds(source.folder))
    add_figures(row, source.folder.path.parent, evaluation.info.get("codec") or evaluation.info.get("baseline"))
    return row


def _behind(row: Row, table: Path, around: list[Path]) -> Source | None:
    """The run that a table's row shows: by its figures, or, of several seeds, the first that is named after the row."""
    if row.summary is None:
        return None
    name = slug(row.name)
    folders = list(dict.fromkeys(around))
    kept = [found for folder in folders for found in sorted(folder.glob(f"*/tables/*-{name}"))]
    others = [found for folder in folders for found in sorted(folder.glob("*/evaluation"))]
    complete = [found for found in (*kept, *others) if (found / "evaluation.json").is_file()]
    stem = table.resolve().name.rpartition("-")[0]
    named = [found for found in complete if found in kept and found.name == f"{stem}-{name}"]
    chosen = next((found for found in complete if _same(row.summary, found, True)), None) or next(
        (found for found in named if _same(row.summary, found, False)), None
    )
    if chosen is None:
        return None
    return Source(row.name, RunFolder(chosen.parent.parent if chosen in kept else chosen.parent), chosen)


def _same(summary: DataFrame, figures: Path, means: bool) -> bool:
    """Whether figures are those of a row: all its bitrates, and, where asked, their means."""
    own, other = _means(summary), _means(pd.read_csv(figures / "summary.csv"))
    shared = own.keys() & other.keys()
    if {rate for _, rate in shared} != {rate for _, rate in own} or not shared:
        return False
    return not means or all(
        math.isclose(own[key], other[key], rel_tol=1e-6) or (math.isnan(own[key]) and math.isnan(other[key]))
        for key in shared
    )


def _means(summary: DataFrame) -> dict[tuple[str, str], float]:
    every = summary[summary["domain"] == ALL]
    return {
        (str(metric), f"{rate:.6g}"): float(mean)
        for metric, rate, mean in zip(every["metric"], every["bitrate_kbps"], every["mean"], strict=True)
    }
