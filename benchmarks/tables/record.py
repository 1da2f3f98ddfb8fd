"""``table.json``: a table as it was made, and which run stands behind each row; reports and listening tests read it.

Schema, version 2: ``format`` and ``version``; ``table`` with title, source, metrics, columns, margin, figure, against,
ranked, full_size and notes; ``rows``, each with ``spec`` (as in the table's YAML), ``summary`` (lines
of ``domain, bitrate_kbps, metric, mean, ci95, n, failed``; null where nothing was measured), ``wall_seconds``,
``parameters``, ``error``, ``seeds``, ``requested`` (pairs of kbps spent and kbps requested), ``listened`` and
``origins``: of each seed ``run`` and ``evaluation``, folders relative to the file. Version 1 has ``asked`` for
``requested``; it is read, too.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.row import Figures, Origin, RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.io.files import write_atomically

FILE = "table.json"
FORMAT = "codeclab table"
VERSION = 2
REQUESTED = {1: "asked", 2: "requested"}
"""Names of the requested bitrates in a file, by version."""

OF_THE_TABLE = ("title", "source", "metrics", "columns", "margin", "figure", "against", "ranked", "full_size", "notes")
OF_AN_ORIGIN = ("run", "evaluation")
OF_A_RESULT = ("wall_seconds", "parameters", "error", "seeds", "listened")


class TableRecordError(ValueError):
    """A folder whose table cannot be read back; the message says why and what would work."""


class MetricsUnknownError(TableRecordError):
    """A table with metrics that are not declared here; the ``runs`` behind its rows may bring the files that do."""

    def __init__(self, message: str, runs: Sequence[Path]) -> None:
        super().__init__(message)
        self.runs = runs


def write_record(table: Table, folder: Path) -> None:
    """Write ``table.json``.

    Args:
        table: table that was made.
        folder: folder to write to; paths of origins are relative to it.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "table": {name: getattr(table, name) for name in OF_THE_TABLE},
        "rows": [_plain(row, folder) for row in table.rows],
    }
    write_atomically(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False, default=dict) + "\n")


def _plain(row: RowResult, folder: Path) -> dict[str, Any]:
    return {
        "spec": asdict(row.spec),
        "summary": _lines(row.summary),
        **{name: getattr(row, name) for name in OF_A_RESULT},
        "requested": [list(pair) for pair in row.requested.items()],
        "origins": [{name: os.path.relpath(getattr(o, name), folder) for name in OF_AN_ORIGIN} for o in row.origins],
    }


def _lines(summary: DataFrame | None) -> list[list[Any]] | None:
    """The lines of a summary; a mean or an interval that is no number, for which JSON has no word, is null."""
    if summary is None:
        return None
    plain = summary[SUMMARY_COLUMNS].astype(object)
    lines: list[list[Any]] = plain.where(plain.notna(), None).to_numpy().tolist()
    return lines


def is_table(folder: Path) -> bool:
    """Whether a folder is one that ``codeclab table`` wrote, now or in an older version."""
    return (folder / FILE).is_file() or (folder / "table.csv").is_file()


def read_record(folder: Path) -> Table:
    """The table that was written to a folder.

    Args:
        folder: folder with ``table.json``.

    Raises:
        MetricsUnknownError: a metric is one of the user's own, and the file that declares it is not imported.
        TableRecordError: an older version wrote the folder, or the file is damaged.
    """
    path = folder / FILE
    again = "the same `codeclab table` command writes it again without training anything"
    if not path.is_file():
        raise TableRecordError(f"{folder} has no {FILE}, which names the run behind each row; {again}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["version"] not in REQUESTED:
            raise TableRecordError(
                f"{path} is {content['format']!r} of version {content['version']}; this codeclab reads "
                f"{FORMAT!r} of version {VERSION}; {again}"
            )
        rows = [_result(row, folder, REQUESTED[content["version"]]) for row in content["rows"]]
        if unknown := [name for name in content["table"]["metrics"] if name not in METRICS]:
            raise MetricsUnknownError(
                f"{path} has metrics that codeclab does not know: {', '.join(unknown)}; --import the file that "
                "declares them",
                [origin.run for row in rows for origin in row.origins],
            )
        return Table(rows=rows, **content["table"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, TableRecordError):
            raise
        raise TableRecordError(f"{path} is damaged ({error}); {again}") from error


def _result(plain: dict[str, Any], folder: Path, requested: str) -> RowResult:
    return RowResult(
        spec=RowSpec(**plain["spec"] | {"figures": [Figures(**figures) for figures in plain["spec"]["figures"]]}),
        summary=None if plain["summary"] is None else _summary(plain["summary"]),
        requested=dict(plain[requested]),
        origins=[_origin(origin, folder) for origin in plain["origins"]],
        **{name: plain[name] for name in OF_A_RESULT},
    )


def _origin(plain: dict[str, str], folder: Path) -> Origin:
    return Origin(*(Path(os.path.normpath(folder / plain[name])) for name in OF_AN_ORIGIN))


def _summary(lines: Sequence[Sequence[Any]]) -> DataFrame:
    summary = DataFrame(lines, columns=SUMMARY_COLUMNS)
    for column in ("bitrate_kbps", "mean", "ci95"):
        summary[column] = pd.to_numeric(summary[column]).astype(float)
    return summary
