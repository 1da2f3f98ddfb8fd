"""The corpus with which a run began: stored in its folder, and compared when the run is continued."""

import csv
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import counted
from codeclab.experiments.data.recording import SPLITS, Corpus, Recording

COLUMNS = ("name", "split", "bytes", "seconds", "digest")

BLOCK = 4096
"""Bytes that are read of a file's beginning, middle and end, to recognize it."""

READERS = 16
"""Files read at the same time: on a network file system, such short reads are mostly waiting."""

NAMES_PER_DIFFERENCE = 3
"""Names listed for each kind of difference."""


@dataclass(frozen=True)
class Listed:
    """A file of a corpus, as a run began with it.

    Attributes:
        split: ``train``, ``valid`` or ``test``.
        bytes: size of the file, in bytes.
        seconds: its length, to the millisecond.
        digest: digest of its content; empty where it was not kept, as runs of before did not, or cannot be read.
    """

    split: str
    bytes: int
    seconds: float
    digest: str = ""

    def is_still(self, now: "Listed") -> bool:
        """Whether the file is unchanged, as far as that is known."""
        same = (self.split, self.bytes, self.seconds) == (now.split, now.bytes, now.seconds)
        return same and (not self.digest or not now.digest or self.digest == now.digest)


def list_corpus(corpus: Corpus) -> dict[str, Listed]:
    """The files of a corpus by name; empty for a corpus without files."""
    if corpus.folder is None:
        return {}
    listed = [(split, recording) for split in SPLITS for recording in getattr(corpus, split)]
    paths = list(dict.fromkeys(recording.path for _, recording in listed))
    with ThreadPoolExecutor(READERS) as pool:
        known = dict(zip(paths, pool.map(_content, paths), strict=True))
    return {
        recording.name: Listed(split, known[recording.path][0], round(recording.seconds, 3), known[recording.path][1])
        for split, recording in listed
    }


def content_digest(recordings: Sequence[Recording]) -> str:
    """A digest of recordings: their names, which parts of files they are, and what these hold, as far as it is read."""
    parts = [part for one in recordings for part in (one, one.mixed) if part is not None]
    with ThreadPoolExecutor(READERS) as pool:
        contents = list(pool.map(_content, [part.path for part in parts]))
    described = [
        (part.name, part.start, round(part.seconds, 3), part.gain_db, content)
        for part, content in zip(parts, contents, strict=True)
    ]
    return blake2b(repr(described).encode(errors="surrogateescape"), digest_size=4).hexdigest()


def _content(path: Path) -> tuple[int, str]:
    """A file's size, and a digest of its beginning, middle and end; 0 and empty if it cannot be read."""
    try:
        if not path.is_file():
            return 0, ""
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest = blake2b(digest_size=8)
            for offset in sorted({0, max(size // 2 - BLOCK // 2, 0), max(size - BLOCK, 0)}):
                file.seek(offset)
                digest.update(file.read(BLOCK))
    except OSError:
        return 0, ""
    return size, digest.hexdigest()


def write_record(path: Path, listed: dict[str, Listed]) -> None:
    """Write a record once: the corpus at the start of a run does not change."""
    if path.is_file() or not listed:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, one in sorted(listed.items()):
        writer.writerow([name, one.split, one.bytes, f"{one.seconds:.3f}", one.digest])
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))


def read_record(path: Path) -> dict[str, Listed]:
    """Read what ``write_record`` wrote; empty if there is none."""
    if not path.is_file():
        return {}
    text = path.read_bytes().decode(errors="surrogateescape")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {
        row["name"]: Listed(row["split"], int(row["bytes"]), float(row["seconds"]), row.get("digest") or "")
        for row in rows
    }


def differences(before: dict[str, Listed], now: dict[str, Listed]) -> str:
    """A sentence on what was added, is gone or has changed since a run began; empty where nothing has."""
    if not before:
        return ""
    kinds = {
        "added": sorted(now.keys() - before.keys()),
        "gone": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in before.keys() & now.keys() if not before[name].is_still(now[name])),
    }
    changes = [f"{counted(len(names), 'file')} {kind} ({_some(names)})" for kind, names in kinds.items() if names]
    return f"the corpus has changed since this run began: {', '.join(changes)}" if changes else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_PER_DIFFERENCE]) + (", …" if len(names) > NAMES_PER_DIFFERENCE else "")
