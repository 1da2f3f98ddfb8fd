"""A CSV file that lists the recordings of a corpus."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.splits import FOLDER_SPLITS

MANIFEST_NAME = "manifest.csv"
"""Where a folder of audio has its manifest, if it has one."""
TRUE = frozenset({"true", "1", "yes"})
FALSE = frozenset({"false", "0", "no"})
COLUMNS = (
    "path", "name", "split", "domain", "sample_rate", "channels", "seconds", "full_band", "band_hz", "rms_db",
    "peak_db", "bytes", "problem",
)  # fmt: skip
"""What the suite itself writes; only `path` is needed."""


def is_manifest(path: Path) -> bool:
    """Whether the file is a CSV whose header names a `path` column."""
    if not path.is_file():
        return False
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error):
        return False
    return "path" in [name.strip() for name in header]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest as they are written, without spaces about the values.

    Raises:
        DataError: If a row has no path.
    """
    rows = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, raw in enumerate(csv.DictReader(file, skipinitialspace=True), start=2):
            row = {key.strip(): (value or "").strip() for key, value in raw.items() if isinstance(key, str)}
            if not row.get("path"):
                raise DataError(f"{path}, line {line}: the path is empty")
            rows.append(row)
    return rows


def read_manifest(path: Path, skipped: list[tuple[str, str]]) -> list[Recording]:
    """Lists the rows of a manifest; paths are relative to its folder.

    Columns: `path`, and as far as known `name`, `split`, `domain`, `full_band`. Sampling rate, channels and duration
    may be given for the reader's sake; what the files' own headers say is used, unless the suite wrote the row
    (`codeclab data scan`) and the file has the size it had then (`bytes`). Rows with a `problem`, and those of
    other splits than train, valid and test (or their synonyms), are left out.

    Args:
        path: The CSV file.
        skipped: Takes (name, reason) of every row left out.

    Raises:
        DataError: If a row has no path, or a value that its column cannot have.
    """
    recordings: dict[str, Recording] = {}
    for line, row in enumerate(read_rows(path), start=2):
        name = row.get("name") or row["path"]
        split = FOLDER_SPLITS.get(row.get("split", "").lower())
        if row.get("problem"):
            skipped.append((name, row["problem"]))
        elif row.get("split") and split is None:
            skipped.append((name, f"split {row['split']!r} is none of train, valid, test"))
        else:
            recordings[name] = _parse_row(row, path.parent, name, split, f"{path}, line {line}")
    return list(recordings.values())


def _parse_row(row: dict[str, str], root: Path, name: str, split: str | None, where: str) -> Recording:
    full_band = _parse_flag(row.get("full_band", ""), f"{where}: full_band")
    file, known = root / row["path"], (0, 0, 0.0)
    size = _parse_number(row, "bytes", where)
    if size is not None and file.is_file() and file.stat().st_size == size:
        rate, channels, seconds = (
            _parse_number(row, key, where) or 0 for key in ("sample_rate", "channels", "seconds")
        )
        known = (int(rate), int(channels), seconds)
    band, level = _parse_number(row, "band_hz", where), _parse_number(row, "rms_db", where)
    return Recording(file, row.get("domain") or "all", *known, full_band, split, name, band, level)


def write_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """The text of a manifest: the suite's columns, `name` only where a row has one; a flag as true or false."""
    listed = [{key: str(value).lower() if isinstance(value, bool) else value for key, value in r.items()} for r in rows]
    columns = [column for column in COLUMNS if column != "name" or any(row.get("name") for row in listed)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def _parse_number(row: dict[str, str], column: str, where: str) -> float | None:
    try:
        return float(row[column]) if row.get(column) else None
    except ValueError:
        raise DataError(f"{where}: {column} must be a number or empty, got {row[column]!r}") from None


def _parse_flag(text: str, where: str) -> bool | None:
    if not text:
        return None
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise DataError(f"{where} must be true, false or empty, got {text!r}")
