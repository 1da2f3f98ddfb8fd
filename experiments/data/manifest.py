"""The recordings of a corpus, from a folder's tree or a CSV file, which may be joined of several."""

import csv
import io
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.formats import EXTENSIONS, NO_FILE, NOT_UTF8, is_utf8
from codeclab.experiments.data.recording import DataError, Recording

FOLDER_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
"""Names of folders, and values in a manifest, that give a file's split."""


def list_tree(root: Path, skipped: list[tuple[str, str]], lost: dict[str, str] | None = None) -> list[Recording]:
    """All audio files below a folder, sorted by name, headers not yet read.

    Top folders called train, valid or test are the splits, if any; the first folder below is the domain. ``skipped``
    receives (name, reason) of every file left out, ``lost`` their splits by name, if they have one.
    """
    paths, none = {}, []
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in walk(root)):
        if not is_utf8(name):
            none.append((as_text(name), NOT_UTF8))
        elif path.is_file() or not path.exists():  # a link to nothing is recordings unreadable later
            paths[name] = path
        else:
            none.append((name, NO_FILE))
    skipped.extend(none)
    tops = {name.split("/")[0] for name in paths if "/" in name}
    named = {top: FOLDER_SPLITS[top.lower()] for top in tops if top.lower() in FOLDER_SPLITS}
    # A folder "test" among domains is a domain: only a training folder, or nothing but splits, makes them splits.
    has_splits = "train" in named.values() or (named.keys() == tops and len(named) > 0)
    if has_splits and lost is not None:
        lost.update({name: named[top] for name, _ in none if (top := name.split("/")[0]) in named})
    recordings = []
    for name, path in paths.items():
        folders = name.split("/")[:-1]
        split = named.get(folders[0]) if has_splits and folders else None
        if has_splits and split is None:
            skipped.append((name, "beside the split folders"))
            continue
        folders = folders[1:] if has_splits else folders
        recordings.append(Recording(path, folders[0] if folders else "all", 0, 0, 0.0, None, split, name))
    return recordings


def as_text(name: str) -> str:
    r"""A file's name as it can be written anywhere: bytes that are no UTF-8 as ``\xe9``."""
    return os.fsencode(name).decode(errors="backslashreplace")


def walk(root: Path) -> Iterator[Path]:
    """Audio files below ``root``; linked folders are followed, each real folder once."""
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
"""The manifest of a folder of audio, if it has one."""

FLAGS = {"": None, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""Values of ``full_band`` by their words, in lower case."""

COLUMNS = (
    "path", "name", "split", "domain", "sample_rate", "channels", "seconds", "full_band", "band_hz", "rms_db",
    "peak_db", "bytes", "problem",
)  # fmt: skip
"""Columns that codeclab writes; only ``path`` is required."""

COPY_COLUMN = "copy_of"
"""Column of the name of the row whose file has the same bytes; written by ``codeclab data scan``."""

SEGMENT_COLUMNS = ("part_of", "start", "length", "gain_db", "mix_part_of", "mix_path", "mix_start", "mix_gain_db")
"""Of rows that are segments: the recording's name, seconds into it and long, gain in dB, and what is mixed into it."""


def is_manifest(path: Path) -> bool:
    """Whether the file is a CSV whose header names a ``path`` column, in UTF-8 or not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(65536)
    if first.startswith(OTHER_ENCODINGS):
        return True  # it will be refused by name, and not be overlooked
    try:
        header = next(csv.reader([first.decode("utf-8-sig", errors="replace")], skipinitialspace=True), [])
    except csv.Error:
        return False
    return "path" in [name.strip() for name in header]


ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip", ".7z", ".rar")
"""Endings of archives, such as the shards of WebDataset."""


def refuse_source(path: Path) -> NoReturn:
    """Refuse a path that is neither a folder nor a manifest.

    Raises:
        DataError: always; it says what the path is instead.
    """
    if not path.exists():
        raise DataError(f"there is no folder or manifest {path}")
    if path.name.lower().endswith(ARCHIVES):
        raise DataError(f"{path} is an archive; unpack it into a folder: archives are not read")
    with path.open("rb") as file:
        first = file.readline(80).decode("utf-8-sig", errors="replace").strip()
    raise DataError(
        f"{path} is neither a folder of audio nor a CSV manifest with a 'path' column (and, where known, split, "
        "domain, sample_rate, channels, seconds, full_band, separated by commas); its first line begins "
        f"{first!r}. `codeclab data scan FOLDER` writes a manifest"
    )


def refuse_empty(root: Path) -> NoReturn:
    """Refuse a folder or manifest that has no audio.

    Raises:
        DataError: always; it says what was looked for.
    """
    if not root.is_dir():
        raise DataError(f"no audio in {root}: it has no rows below its first line")
    archives = sorted(name for _, _, names in os.walk(root) for name in names if name.lower().endswith(ARCHIVES))
    unpack = f"; archives such as {archives[0]} are not read: unpack them" if archives else ""
    raise DataError(f"no audio in {root}: looked in all its folders for {' '.join(sorted(EXTENSIONS))}{unpack}")


OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
"""First bytes of UTF-16, as spreadsheets write it."""


def _text(path: Path) -> str:
    """A manifest's text; the DataError where it is not UTF-8 names the line."""
    raw = path.read_bytes()
    if raw.startswith(OTHER_ENCODINGS):
        raise DataError(f"{path}, line 1: not UTF-8 but UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest, without blanks around the values; a quoted path or name keeps its blanks.

    Raises:
        DataError: it is not UTF-8, or a row has no path or holds a NUL character.
    """
    rows = []
    for line, raw in enumerate(csv.DictReader(io.StringIO(_text(path), newline=""), skipinitialspace=True), start=2):
        row = {key.strip(): value or "" for key, value in raw.items() if isinstance(key, str)}
        row = {key: value if key in ("path", "name") else value.strip() for key, value in row.items()}
        if not row.get("path", "").strip():
            raise DataError(f"{path}, line {line}: the path is empty")
        if any("\0" in value for value in row.values()):
            raise DataError(f"{path}, line {line}: it holds a NUL character; the file may be damaged")
        for key in ("path", "name"):
            if row.get(key, "") != row.get(key, "").strip() and not (path.parent / row["path"]).exists():
                row[key] = row[key].strip()
        rows.append(row)
    return rows


def read_manifest(path: Path, skipped: list[tuple[str, str]], lost: dict[str, str] | None = None) -> list[Recording]:
    """List the rows of a manifest; paths are relative to its folder.

    Columns: ``path`` and, as far as known, ``name``, ``split``, ``domain``, ``speaker``, ``full_band``, and those of
    segments (``start`` and ``length``, or ``end``, in seconds). Sampling rate, channels and duration are for readers
    only: the files' own values are used, unless ``codeclab data scan`` wrote the row and the file still has the same
    size (``bytes``). Rows with a ``problem`` are left out, and so are rows of other splits than train, valid and test
    (or their synonyms). ``skipped`` receives (name, reason) of every row left out, ``lost`` the splits, by name, of
    those with a problem.

    Raises:
        DataError: it is not UTF-8, a row has no path or a value that its column cannot have, or two rows that are
            not the same have one name.
    """
    recordings: dict[str, tuple[int, dict[str, str], Recording]] = {}
    for line, row in enumerate(read_rows(path), start=2):
        name = row_name(row)
        split = FOLDER_SPLITS.get(row.get("split", "").lower())
        if row.get("problem"):
            skipped.append((name, row["problem"]))
            if split is not None and lost is not None:
                lost[name] = split
        elif row.get("split") and split is None:
            skipped.append((name, f"split {row['split']!r} is not train, valid or test"))
        elif name not in recordings:
            recordings[name] = line, row, _parse_row(row, path.parent, name, split, f"{path}, line {line}")
        elif recordings[name][1] == row:
            skipped.append((name, f"listed twice, in lines {recordings[name][0]} and {line}"))
        else:
            remedy = (
                "put the speaker into a column 'speaker'"
                if row.get("name")
                else "without 'name', the path is the name: list a file once, or add 'name', or 'start' and 'end'"
            )
            raise DataError(
                f"{path}, line {line}: the name {name!r} is already used in line {recordings[name][0]}; names should "
                f"be unique ({remedy})"
            )
    return [recording for _, _, recording in recordings.values()]


def row_name(row: Mapping[str, str]) -> str:
    """The name of a row's recording."""
    return row.get("name") or row["path"] + _part(row)


def _row_part_of(row: Mapping[str, str]) -> str:
    """The name of the recording that a segment was cut from; empty for a whole file."""
    return row.get("part_of") or (posixpath.normpath(row["path"]) if _part(row) else "")


def _part(row: Mapping[str, str]) -> str:
    """The suffix of a name for a row that is a segment."""
    if not any(row.get(key) for key in ("start", "length", "end")):
        return ""
    till = f"-{row['end']}" if row.get("end") else f"+{row['length']}" if row.get("length") else "-"
    return f" [{row.get('start') or '0'}{till} s]"


def _parse_row(row: dict[str, str], root: Path, name: str, split: str | None, where: str) -> Recording:
    full_band = row.get("full_band", "").lower()
    if full_band not in FLAGS:
        raise DataError(f"{where}: full_band is {row['full_band']!r}; it should be true, false or empty")
    file, known = root / row["path"], (0, 0, 0.0)
    size = _parse_number(row, "bytes", where)
    if size is not None and file.is_file() and file.stat().st_size == size:
        rate, channels, seconds = (
            _parse_number(row, key, where) or 0 for key in ("sample_rate", "channels", "seconds")
        )
        known = (int(rate), int(channels), seconds)
    band, level = _parse_number(row, "band_hz", where), _parse_number(row, "rms_db", where)
    recording = Recording(
        file, row.get("domain") or "all", *known, FLAGS[full_band], split, name, band, level,
        speaker=row.get("speaker", ""), copy_of=row.get(COPY_COLUMN, ""),
    )  # fmt: skip
    numbers = ("start", "length", "end", "gain_db", "mix_start", "mix_gain_db")
    given = {key: _parse_number(row, key, where) for key in numbers}
    if any(row.get(key) for key in (*SEGMENT_COLUMNS, "end")):
        start, length, end = given["start"] or 0.0, given["length"], given["end"]
        if start < 0 or (length is not None and length <= 0) or (end is not None and end <= start):
            raise DataError(
                f"{where}: a segment has start {row.get('start', '')!r}, length {row.get('length', '')!r} and end "
                f"{row.get('end', '')!r}; start should be 0 or more, length above 0, and end after start, in seconds"
            )
        if length is None:
            length = end - start if end is not None else 0.0
        mixed = None
        if row.get("mix_path"):
            mixed = Recording(
                root / row["mix_path"], "all", 0, 0, 0.0, name=row.get("mix_part_of", ""),
                start=given["mix_start"] or 0.0, gain_db=given["mix_gain_db"] or 0.0,
            )  # fmt: skip
        recording = replace(
            recording, start=start, gain_db=given["gain_db"] or 0.0, mixed=mixed, seconds=length, sample_rate=0,
            part_of=_row_part_of(row),
        )  # fmt: skip
    return recording


def write_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """The text of a manifest: codeclab's columns, and ``name``, those of segments and others if a row has them.

    Flags are in words.
    """
    listed = [{key: str(value).lower() if isinstance(value, bool) else value for key, value in r.items()} for r in rows]
    every = dict.fromkeys([*COLUMNS, *SEGMENT_COLUMNS, *(column for row in listed for column in row)])
    always = set(COLUMNS) - {"name"}
    columns = [column for column in every if column in always or any(row.get(column) for row in listed)]
    lines: list[Sequence[object]] = [columns, *([row.get(column) for column in columns] for row in listed)]
    return "".join(",".join(_cell(value) for value in line) + "\n" for line in lines)


def join_manifests(manifests: Sequence[Path], output: Path) -> list[dict[str, str]]:
    """Write one manifest with the rows of several, in their order.

    Returns:
        rows of the manifest, with absolute paths.

    Raises:
        DataError: one is not a manifest, or a name occurs twice.
    """
    joined: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        if not is_manifest(manifest):
            raise DataError(f"{manifest} is not a manifest, which is a CSV file with a 'path' column")
        for row in read_rows(manifest):
            name = row_name(row)
            if name in joined:
                raise DataError(f"{name} is in two manifests; the second is {manifest}")
            joined[name] = {**row, "name": name, "part_of": _row_part_of(row)}
            for key in ("path", "mix_path"):
                if row.get(key):
                    joined[name][key] = Path(os.path.abspath(manifest.parent / row[key])).as_posix()
    write_atomically(output, write_rows(joined.values()))
    return list(joined.values())


def _cell(value: object) -> str:
    """A value in CSV; quoted also if it begins or ends with blanks."""
    text = "" if value is None else str(value)
    if text != text.strip() or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _parse_number(row: dict[str, str], column: str, where: str) -> float | None:
    try:
        return float(row[column]) if row.get(column) else None
    except ValueError:
        raise DataError(f"{where}: {column} is {row[column]!r}; it should be a number or empty") from None
