"""A CSV file that lists the recordings of a corpus."""

import csv
from pathlib import Path

from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.splits import FOLDER_SPLITS

TRUE = frozenset({"true", "1", "yes"})
FALSE = frozenset({"false", "0", "no"})


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


def read_manifest(path: Path, skipped: list[tuple[str, str]]) -> list[Recording]:
    """Lists the rows of a manifest; paths are relative to its folder.

    Columns: `path`, and as far as known `split`, `domain`, `full_band`. Sampling rate, channels and duration may
    be given for the reader's sake; what the files' own headers say is used. Rows of other splits than train,
    valid and test (or their synonyms) are left out.

    Args:
        path: The CSV file.
        skipped: Takes (name, reason) of every row left out.

    Raises:
        DataError: If a row has no path, or a `full_band` that is neither true, false nor empty.
    """
    recordings: dict[str, Recording] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, raw in enumerate(csv.DictReader(file, skipinitialspace=True), start=2):
            row = {key.strip(): (value or "").strip() for key, value in raw.items() if isinstance(key, str)}
            name = row.get("path", "")
            if not name:
                raise DataError(f"{path}, line {line}: the path is empty")
            split = FOLDER_SPLITS.get(row.get("split", "").lower())
            if row.get("split") and split is None:
                skipped.append((name, f"split {row['split']!r} is none of train, valid, test"))
                continue
            full_band = _parse_flag(row.get("full_band", ""), f"{path}, line {line}: full_band")
            recordings[name] = Recording(
                path.parent / name, row.get("domain") or "all", 0, 0, 0.0, full_band, split, name
            )
    return list(recordings.values())


def _parse_flag(text: str, where: str) -> bool | None:
    if not text:
        return None
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise DataError(f"{where} must be true, false or empty, got {text!r}")
