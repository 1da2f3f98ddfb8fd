"""The recordings of a corpus, from a folder's tree or a CSV file, and which split each belongs to."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from codeclab.experiments.data.formats import EXTENSIONS
from codeclab.experiments.data.recording import SPLITS, DataError, Recording, Source

TEST_SHARE = 0.05

VALID_SHARE = 0.05

FOLDER_SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
"""Folder names, and names in a manifest, that say which split a file belongs to."""


def draw_position(seed: int, name: str) -> float:
    """A file's place in [0, 1), from the seed and its name alone."""
    digest = sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(recordings: Sequence[Recording], seed: int) -> list[Recording]:
    """Gives every recording without a split one.

    A file goes where the hash of (seed, name) puts it: 5 % test, 5 % validation, the rest training. Adding
    files therefore moves no other. Where some splits are given and others are not (a train and a test
    folder, say), the missing ones are cut from the training files by the same rule. With three files or more no
    split stays empty: it is given one of the largest split's files, the one with the lowest position.

    Args:
        recordings: All of them; splits that are given are kept.
        seed: Of the split, not of the training: runs that are compared must share it.
    """
    named = {recording.split for recording in recordings} - {None}
    missing = set(SPLITS) - named
    assigned = []
    for recording in recordings:
        split = recording.split
        if split is None:
            split = _by_position(draw_position(seed, recording.name))
        elif split == "train" and missing:
            drawn = _by_position(draw_position(seed, recording.name))
            split = drawn if drawn in missing else split
        assigned.append(replace(recording, split=split))
    if "train" in named or any(recording.split is None for recording in recordings):
        donors = [split for split in SPLITS if split == "train" or split in missing]
        _fill_empty(assigned, donors, seed)
    return assigned


def _by_position(position: float) -> str:
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"


def _fill_empty(recordings: list[Recording], donors: list[str], seed: int) -> None:
    """Moves single files into empty splits, from the largest split that may give some and keeps one."""
    for target in SPLITS:
        held = {split: [i for i, r in enumerate(recordings) if r.split == split] for split in SPLITS}
        donor = max(donors, key=lambda split: len(held[split]))
        if held[target] or len(held[donor]) < 2:
            continue
        nearest = min(held[donor], key=lambda i: draw_position(seed, recordings[i].name))
        recordings[nearest] = replace(recordings[nearest], split=target)


def list_tree(root: Path, skipped: list[tuple[str, str]]) -> list[Recording]:
    """All audio files below a folder, sorted by name, headers not yet read.

    Top folders called train, valid or test are the splits, if any; the first folder below is the domain.

    Args:
        root: The folder.
        skipped: Takes (name, reason) of every file left out.
    """
    paths = sorted(walk(root), key=lambda path: path.relative_to(root).as_posix())
    tops = {path.relative_to(root).parts[0] for path in paths if len(path.relative_to(root).parts) > 1}
    named = {top: FOLDER_SPLITS[top.lower()] for top in tops if top.lower() in FOLDER_SPLITS}
    # A folder "test" among domains is a domain: only a training folder, or nothing but splits, makes them splits.
    has_splits = "train" in named.values() or (named.keys() == tops and len(named) > 0)
    found = []
    for path in paths:
        name = path.relative_to(root)
        parts = name.parts[:-1]
        split = named.get(parts[0]) if has_splits and parts else None
        if has_splits and split is None:
            skipped.append((name.as_posix(), "beside the split folders"))
            continue
        folders = parts[1:] if has_splits else parts
        found.append(Recording(path, folders[0] if folders else "all", 0, 0, 0.0, None, split, name.as_posix()))
    return found


def walk(root: Path) -> Iterator[Path]:
    """Audio files below `root`; linked folders are followed, each real folder once."""
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in files:
            if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):
                yield Path(folder, name)


MANIFEST_NAME = "manifest.csv"
"""Where a folder of audio has its manifest, if it has one."""

TRUE = frozenset({"true", "1", "yes"})

FALSE = frozenset({"false", "0", "no"})

COLUMNS = (
    "path", "name", "split", "domain", "sample_rate", "channels", "seconds", "full_band", "band_hz", "rms_db",
    "peak_db", "bytes", "problem",
)  # fmt: skip
"""What the suite itself writes; only `path` is needed."""

SEGMENT_COLUMNS = ("part_of", "start", "length", "gain_db", "mix_part_of", "mix_path", "mix_start", "mix_gain_db")
"""Of rows that are segments: the recording's name, seconds into it and long, gain in dB, and what is mixed into it."""


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

    Columns: `path`, and as far as known `name`, `split`, `domain`, `full_band`, and those of segments. Sampling
    rate, channels and duration may be given for the reader's sake; what the files' own headers say is used, unless the
    suite wrote the row (`codeclab data scan`) and the file has the size it had then (`bytes`). Rows with a `problem`,
    and those of other splits than train, valid and test (or their synonyms), are left out.

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
    found = Recording(file, row.get("domain") or "all", *known, full_band, split, name, band, level)
    numbers = ("start", "length", "gain_db", "mix_start", "mix_gain_db")
    given = {key: _parse_number(row, key, where) for key in numbers}
    if any(row.get(key) for key in SEGMENT_COLUMNS):
        other = root / row["mix_path"] if row.get("mix_path") else None
        place = (given["mix_start"] or 0.0, given["mix_gain_db"] or 0.0, row.get("mix_part_of", ""))
        mixed = Source(other, 0, *place) if other else None
        found = replace(
            found, start=given["start"] or 0.0, gain_db=given["gain_db"] or 0.0, mixed=mixed,
            seconds=given["length"] or 0.0, sample_rate=0, part_of=row.get("part_of", ""),
        )  # fmt: skip
    return found


def write_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """The text of a manifest: the suite's columns, `name` and those of segments where a row has one; flags in words."""
    listed = [{key: str(value).lower() if isinstance(value, bool) else value for key, value in r.items()} for r in rows]
    rare = ("name", *SEGMENT_COLUMNS)
    every = (*COLUMNS, *SEGMENT_COLUMNS)
    columns = [column for column in every if column not in rare or any(row.get(column) for row in listed)]
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
