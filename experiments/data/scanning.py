"""A manifest of many files, measured in parallel; a scan that was killed continues where it stopped."""

import filecmp
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.workers import leave_signals_to_parent
from codeclab.codecs.wording import counted
from codeclab.experiments.data.manifest import COLUMNS, COPY_COLUMN, SEGMENT_COLUMNS, as_text, write_rows
from codeclab.experiments.data.measuring import Measured, measure_file
from codeclab.experiments.data.recording import DataError, Recording

VERSION = 3
"""Version of the measurements: a journal of another version is not continued."""
WAITING = 4
"""Files given to each process in advance."""

Row = dict[str, Any]


class Journal:
    """Rows of a scan that is not finished, one JSON line each, beside the manifest they are for.

    Args:
        output: path of the manifest.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f".{output.name}.unfinished")

    def read(self) -> dict[tuple[Any, ...], Row]:
        """The rows by file, size, time of change and part; an incomplete last line is left out."""
        if not self.path.is_file():
            return {}
        rows = {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                version, *key, row = json.loads(line)
            except (ValueError, TypeError):
                continue
            if version == VERSION:
                rows[tuple(key)] = row
        return rows

    def __enter__(self) -> "Journal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        self._file.write("\n")  # after a line that was cut short
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def append(self, key: tuple[Any, ...], row: Row) -> None:
        """Add a row, at once."""
        self._file.write(json.dumps([VERSION, *key, row]) + "\n")
        self._file.flush()


def write_manifest(
    listed: Sequence[Recording], output: Path, workers: int, given: Mapping[str, Mapping[str, str]]
) -> list[Row]:
    """Measure files and write their manifest, sorted by name, under a temporary name first.

    After a kill at any moment, the same call measures only what is left. The result does not depend on the number of
    processes, nor on where it was interrupted. Files below the manifest's folder are listed by their path from
    there; others by their whole path, and their name in a column of its own.

    Args:
        listed: the files, with name, domain and split.
        output: the CSV file.
        workers: processes that measure; 1 measures in this one.
        given: the rows, by name, of the manifest that the files were listed in; their other columns are kept.

    Returns:
        the rows.

    Raises:
        DataError: a process that measures dies.
    """
    journal = Journal(output)
    known = journal.read()
    keys = {recording.name: _key(recording) for recording in listed}
    left = [recording for recording in listed if keys[recording.name] not in known]
    before = f" ({len(listed) - len(left):,} of {counted(len(listed), 'file')} measured before)" if known else ""
    with journal, progress_bar(f"measuring{before}", len(left), True, "file") as advance:
        for recording, measured in _measure_all(left, workers):
            known[keys[recording.name]] = asdict(measured)
            journal.append(keys[recording.name], asdict(measured))
            advance()
    listed = sorted(listed, key=lambda recording: recording.name)
    rows = [
        _row(recording, output.parent, given.get(recording.name, {}), keys[recording.name][1])
        | known[keys[recording.name]]
        for recording in listed
    ]
    _mark_copies(rows, listed)
    write_atomically(output, write_rows(_blank_unmeasured(row) for row in rows))
    journal.path.unlink(missing_ok=True)
    return rows


def _key(recording: Recording) -> tuple[str, int, int, float, float]:
    path, part = recording.path, _part(recording) or (0.0, 0.0)
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, 0, *part
    return str(path), status.st_size, status.st_mtime_ns, *part


def _part(recording: Recording) -> tuple[float, float] | None:
    """Start of a recording in its file and its length, in seconds, as listed; None for a whole file."""
    if recording.sample_rate or not (recording.start or recording.seconds):
        return None
    return recording.start, recording.seconds


def _row(recording: Recording, folder: Path, given: Mapping[str, str], size: int) -> Row:
    """A row without its measurements: the user's own columns, where the audio lies and how it is read, and its size."""
    row: Row = {
        key: value for key, value in given.items() if key not in (*COLUMNS, *SEGMENT_COLUMNS, COPY_COLUMN, "end")
    }
    path, name = _from(recording.path, folder), as_text(recording.name)
    row |= {"path": path, "name": "" if path == name else name}
    if recording.part_of:
        row["part_of"] = as_text(recording.part_of)
    if part := _part(recording):
        row |= {"start": _number(part[0]), "length": _number(part[1]) if part[1] else ""}
    if recording.gain_db:
        row["gain_db"] = _number(recording.gain_db)
    if (other := recording.mixed) is not None:
        row |= {"mix_part_of": other.name, "mix_path": _from(other.path, folder)}
        row |= {"mix_start": _number(other.start), "mix_gain_db": _number(other.gain_db)}
    return row | {"split": recording.split or "", "domain": as_text(recording.domain), "bytes": size}


def _from(path: Path, folder: Path) -> str:
    """A path for a manifest in the folder: relative to it, or absolute if the file is elsewhere."""
    real, root = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return as_text((real.relative_to(root) if real.is_relative_to(root) else real).as_posix())


def _number(value: float) -> str:
    return f"{value:.12g}"


def _mark_copies(rows: Sequence[Row], listed: Sequence[Recording]) -> None:
    """Write into the rows of files with the same bytes, but for the first, which file they are copies of."""
    alike: dict[tuple[Any, ...], list[tuple[Row, Recording]]] = {}
    for row, recording in zip(rows, listed, strict=True):
        if not row["problem"] and not recording.part_of:
            measured = tuple(row[key] for key in ("bytes", "seconds", "rms_db", "peak_db"))
            alike.setdefault(measured, []).append((row, recording))
    for group in alike.values():
        originals: list[Recording] = []
        for row, recording in group:
            original = next((one for one in originals if _same_bytes(one.path, recording.path)), None)
            if original is None:
                originals.append(recording)
            elif os.path.realpath(original.path) != os.path.realpath(recording.path):
                row[COPY_COLUMN] = as_text(original.name)


def _same_bytes(one: Path, other: Path) -> bool:
    """Whether two files hold the same; False if one has gone since it was measured."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _blank_unmeasured(row: Row) -> Row:
    """The row of an unusable file, without meaningless figures."""
    if not row["problem"]:
        return row
    meaningless = ("full_band", "band_hz", "rms_db", "peak_db") + (() if row["sample_rate"] else ("sample_rate",))
    return row | dict.fromkeys(meaningless, "")


def _measure_all(listed: Sequence[Recording], workers: int) -> Iterator[tuple[Recording, Measured]]:
    """Each file with its measurement, in the order in which they are done."""
    if workers <= 1 or len(listed) < 2:
        for recording in listed:
            yield recording, measure_file(recording.path, _part(recording))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(listed)), context, initializer=_prepare_worker) as pool:
        waiting: dict[Future[Measured], Recording] = {}
        coming = iter(listed)
        while True:
            for recording in islice(coming, WAITING * workers - len(waiting)):
                waiting[pool.submit(measure_file, recording.path, _part(recording))] = recording
            if not waiting:
                return
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                recording = waiting.pop(done)
                try:
                    yield recording, done.result()
                except BrokenProcessPool as error:
                    names = ", ".join(sorted(one.name for one in [recording, *waiting.values()]))
                    raise DataError(
                        f"a process that measures files died: it ran out of memory, or its decoder crashed at one of "
                        f"{names}; the same command continues; with --workers 1 it stops at that file"
                    ) from error


def _prepare_worker() -> None:
    """Leave signals to the parent, and end with it; otherwise it would wait for ever if the parent was killed."""
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
