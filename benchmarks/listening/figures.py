"""The listening figures of a run, stored in its folder for the tables."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.listening.design import SYSTEM, Condition
from codeclab.benchmarks.listening.results import Results, described
from codeclab.benchmarks.tables.row import RowResult
from codeclab.codecs.bitrate import same_bitrate
from codeclab.codecs.io.files import write_atomically

FILE = "mushra.json"
FORMAT = "codeclab mushra figures"
VERSION = 1


def store_figures(results: Results, folder: Path) -> list[str]:
    """Write each run's figures into its folder, replacing those of an older test.

    Args:
        results: results of the test.
        folder: folder of the test, to which the runs' folders are relative.

    Returns:
        messages for the user.
    """
    by_run: dict[str, list[Condition]] = {}
    messages = []
    for condition in results.test.conditions:
        if condition.run is not None:
            by_run.setdefault(condition.run, []).append(condition)
        elif condition.kind == SYSTEM:
            messages.append(f"{condition.name} belongs to no run, so no table can show its figure.")
    for run, conditions in by_run.items():
        names = "; ".join(condition.name for condition in conditions)
        # Not resolved: the folder of a run may be a link.
        home = Path(os.path.normpath(folder.absolute() / run))
        if not home.is_dir():
            messages.append(f"{home} does not exist, so no table can show the figures of {names}.")
            continue
        content = _content(results, conditions)
        write_atomically(home / FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        messages.append(f"{names}: kept in {home / FILE}")
    return messages


def _content(results: Results, conditions: Sequence[Condition]) -> dict[str, Any]:
    own = results.means[results.means["condition"].isin([condition.name for condition in conditions])]
    own = own[own["n"] > 0]
    columns = ["domain", "bitrate_kbps", "mean", "ci95", "n"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "test": results.test.id,
        "title": results.test.title,
        "listeners": results.counted,
        "screened_out": len(results.screened) - results.counted,
        "of": conditions[0].of,
        # An interval over one rating is no number, for which JSON has no word.
        "figures": json.loads(own[columns].to_json(orient="records", double_precision=10)),
    }


def with_figures(row: RowResult, runs: Path, of: Any) -> RowResult:
    """A row of a table with the listening figures of its codec, at the bitrates of the row.

    Args:
        row: row with its summary.
        runs: folder of runs, any of which may hold it.
        of: the codec's identity, or the baseline with its arguments: figures of another codec that lay in the folder
            before are none of this one.
    """
    figures = _newest(runs, of) if row.summary is not None and of is not None else None
    if row.summary is None or figures is None:
        return row
    rates = sorted(row.summary["bitrate_kbps"].unique())
    lines = []
    for figure in figures["figures"]:
        heard = figure["bitrate_kbps"]
        home = next((r for r in rates if same_bitrate(r, heard) or same_bitrate(row.requested_for(r), heard)), None)
        if home is not None:
            half = float("nan") if figure["ci95"] is None else figure["ci95"]
            lines.append((figure["domain"], home, "mushra", figure["mean"], half, figure["n"], 0))
    if not lines:
        return row
    summary = pd.concat([row.summary, DataFrame(lines, columns=SUMMARY_COLUMNS)], ignore_index=True)
    listened = described(figures["test"], figures["listeners"], figures["screened_out"])
    return replace(row, summary=summary, listened=listened)


def _newest(runs: Path, of: Any) -> dict[str, Any] | None:
    wanted = json.dumps(of, sort_keys=True)
    for path in sorted(runs.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            known = (content["format"], content["version"]) == (FORMAT, VERSION)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be read ({error}); `codeclab mushra analyse` writes it again") from error
        if known and json.dumps(content["of"], sort_keys=True) == wanted:
            return dict(content)
    return None
