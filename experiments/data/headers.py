"""Headers of files, read in parallel; results that took decoding, or say why a file cannot be used, are cached."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.formats import AudioHeader, UndecodableError, read_header

MANY = 500
"""Number of files from which a progress bar is shown."""

VERSION = 1


class HeaderCache:
    """Cache of a corpus: headers that took decoding, and reasons for missing ones, by path, size and time of change.

    It lies in ``$XDG_CACHE_HOME/codeclab``, or ``~/.cache/codeclab``, a file for each corpus (``root``).
    """

    def __init__(self, root: Path) -> None:
        digest = hashlib.sha256(os.fsencode(os.path.abspath(root))).hexdigest()[:16]
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.path = base / "codeclab" / "headers" / f"{digest}.json"
        self._new: dict[str, list[object]] = {}
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self.path.read_text(encoding="utf-8"))
            self._known = content["files"] if content["version"] == VERSION else {}

    def header(self, path: Path) -> AudioHeader | str:
        """A file's header, or why it has none."""
        try:
            status = path.stat()
            key, stamp = str(path), [status.st_size, status.st_mtime_ns]
            entry = self._known.get(key)
            if entry is not None and entry[:2] == stamp:
                stored = entry[2]
                return AudioHeader(**stored) if isinstance(stored, dict) else str(stored)
            header = read_header(path)
            if header.measured or header.problem:
                self._new[key] = [*stamp, asdict(header)]
            return header
        except UndecodableError as error:
            self._new[key] = [*stamp, reason := f"unreadable: {error}"]
            return reason
        except OSError as error:
            return f"unreadable: {error}"

    def save(self) -> None:
        """Store new entries; if they cannot be written, the files are decoded again next time."""
        if self._new:
            content = {"version": VERSION, "files": self._known | self._new}
            with suppress(OSError):
                write_atomically(self.path, json.dumps(content, ensure_ascii=True))


def headers_of(root: Path, paths: Sequence[Path]) -> dict[Path, AudioHeader | str]:
    """The headers of files of the corpus ``root`` by path, or the reason why a file cannot be used."""
    cache = HeaderCache(root)
    with (
        ThreadPoolExecutor(max(8, usable_cores())) as pool,
        progress_bar(f"{root}: reading headers", len(paths), len(paths) >= MANY, "file") as advance,
    ):
        headers: dict[Path, AudioHeader | str] = {}
        for path, header in zip(paths, pool.map(cache.header, paths), strict=True):
            headers[path] = header if isinstance(header, str) else header.problem or header
            advance()
    cache.save()
    return headers
