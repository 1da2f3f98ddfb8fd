"""What corpus a run began with: kept in its folder, compared when it is continued."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import counted
from codeclab.experiments.data.recording import SPLITS, Corpus

COLUMNS = ("name", "split", "bytes", "seconds")

SHOWN = 3
"""Names listed of each kind of difference."""


@dataclass(frozen=True)
class Listed:
    """A file of a corpus, as a run began with it.

    Attributes:
        split: ``train``, ``valid`` or ``test``.
        bytes: its size.
        seconds: its length, to the millisecond.
    """

    split: str
    bytes: int
    seconds: float


def list_corpus(corpus: Corpus) -> dict[str, Listed]:
    """The files of a corpus by name; none of a corpus that is no files."""
    found = {}
    for split in SPLITS if corpus.folder is not None else ():
        for recording in getattr(corpus, split):
            size = recording.path.stat().st_size if recording.path.is_file() else 0
            found[recording.name] = Listed(split, size, round(recording.seconds, 3))
    return found


def write_record(path: Path, listed: dict[str, Listed]) -> None:
    """Write a record, once: what a run began with does not change."""
    if path.is_file() or not listed:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, one in sorted(listed.items()):
        writer.writerow([name, one.split, one.bytes, f"{one.seconds:.3f}"])
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))


def read_record(path: Path) -> dict[str, Listed]:
    """What ``write_record`` wrote; empty where there is none."""
    if not path.is_file():
        return {}
    text = path.read_bytes().decode(errors="surrogateescape")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {row["name"]: Listed(row["split"], int(row["bytes"]), float(row["seconds"])) for row in rows}


def differences(before: dict[str, Listed], now: dict[str, Listed]) -> str:
    """A sentence on what was added, is gone or has changed since a run began; empty where nothing has."""
    if not before:
        return ""
    kinds = {
        "added": sorted(now.keys() - before.keys()),
        "gone": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in before.keys() & now.keys() if before[name] != now[name]),
    }
    said = [f"{counted(len(names), 'file')} {kind} ({_some(names)})" for kind, names in kinds.items() if names]
    return f"the corpus is not the one that this run began with: {', '.join(said)}" if said else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
