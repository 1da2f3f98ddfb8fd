"""Finds the audio that a run was trained on, by whatever path either is given."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from codeclab.codecs.io.missing import located
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.manifest import MANIFEST_NAME
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import RECORDINGS, RECORDINGS_FOLDER, SYNTHETIC, is_named
from codeclab.experiments.data.recording import SPLITS
from codeclab.experiments.runs.corpus_record import Listed, list_corpus, read_record
from codeclab.experiments.runs.folder import RunFolder

COPIED = 0.5
"""Share of files with the names, sizes and lengths of a run's files from which on a folder is a copy of its data."""


def run_of(path: Path) -> RunFolder | None:
    """The run that a path names: its folder, or the codec in it; None where it is no run's."""
    path = located(path)
    real = path.resolve()
    for folder in (path, real.parent):
        run = RunFolder(folder)
        if run.config.is_file() and (folder != real.parent or run.codec == real):
            return run
    return None


def label_of(path: Path) -> str:
    """The name of a codec's row: that of the run, or of the folder or file."""
    if (run := run_of(path)) is not None:
        return run.path.resolve().name
    path = located(path)
    return path.resolve().name if path.is_dir() else path.stem


def data_settings(run: RunFolder) -> dict[str, Any]:
    """The settings of a run's data, with the folder's path from here."""
    settings = dict(run.settings.get("data") or {})
    settings["folder"] = _as_seen_from_here(settings.get("folder"), run)
    return settings


def corpus_of(path: Path) -> str:
    """The audio that a run, or the codec in it, was trained on: its folder from here, or the word of a corpus.

    Raises:
        RecipeError: it is no run's.
    """
    if (run := run_of(path)) is None:
        raise RecipeError("no audio was given; add --data FOLDER (a codec that is not a run has no stored data)")
    folder = data_settings(run)["folder"]
    return SYNTHETIC if folder is None else str(folder)


def corpus_identity(folder: str | None) -> str | None:
    """A unique text for a corpus: its real path (for a manifest in its folder, the folder's); None is synthetic."""
    if folder is None or is_named(folder, SYNTHETIC):
        return None
    path = RECORDINGS_FOLDER if is_named(folder, RECORDINGS) else Path(folder).expanduser()
    real = path.resolve()
    real = real.parent if real.name == MANIFEST_NAME else real
    return RECORDINGS if real == RECORDINGS_FOLDER.resolve() else str(real)


def trained_on(path: Path | None, folder: str | None) -> bool:
    """Whether a run, or one that it started from, was trained on audio that ``folder`` holds.

    A file counts as the same where its real path is; where the names, sizes and lengths of half of the files are, they
    are a copy.

    Args:
        path: path of a run or the codec in it; of other codecs no training data is known.
        folder: a folder of audio, a manifest, or a word; None is the synthetic corpus.

    Raises:
        DataError: ``folder`` holds no usable audio.
    """
    return any(_splits_here(run, folder) is not None for run in _lineage(path))


def keep_splits(data: AudioData, folder: RunFolder) -> None:
    """Split the data of an existing run as at its start; if no splits were stored, by the rules of that time."""
    record = read_record(folder.corpus)
    if record:
        data.known_splits = {name: one.split for name, one in record.items()}
    elif folder.last.is_file():
        data.split_floor = False


def known_splits(paths: Iterable[Path], folder: str | None) -> dict[str, str] | None:
    """The splits that files of ``folder`` had when runs were trained on them, by the names they have there.

    A file is test only where it was so to every run: it goes where the first of train, valid and test has it.

    Args:
        paths: paths of runs.
        folder: folder of audio, as in ``trained_on``.

    Returns:
        None where none of the runs was trained on any.
    """
    of_runs = [_splits_here(run, folder) for path in paths for run in _lineage(path)]
    known = [splits for splits in of_runs if splits is not None]
    return _first_of_each(pair for splits in known for pair in splits.items()) if known else None


def _first_of_each(splits: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first of train, valid and test that each name has."""
    first: dict[str, str] = {}
    for name, split in splits:
        first[name] = min(first.get(name, split), split, key=SPLITS.index)
    return first


def _lineage(path: Path | None) -> Iterator[RunFolder]:
    """A run, and those whose weights it started from."""
    seen: set[Path] = set()
    while path is not None and (run := run_of(path)) is not None and run.path.resolve() not in seen:
        yield run
        seen.add(run.path.resolve())
        init = run.settings.get("init")
        path = Path(_as_seen_from_here(str(init), run) or "") if init else None


def _as_seen_from_here(stored: str | None, run: RunFolder) -> str | None:
    """A path of a run's settings: where it lies from here or, if nowhere, from where ``runs/NAME`` was made."""
    if stored is None or Path(stored).expanduser().is_absolute() or located(stored).exists():
        return stored
    beside = run.path.resolve().parent.parent / stored
    return str(beside) if beside.exists() else stored


def _splits_here(run: RunFolder, folder: str | None) -> dict[str, str] | None:
    """The splits that a run knows of the files of ``folder``, by their names there; None where it knows none."""
    settings = data_settings(run)
    own = corpus_identity(settings["folder"])
    requested = corpus_identity(folder)
    record = read_record(run.corpus)
    if own == requested and (own is None or record):
        return {name: one.split for name, one in record.items()}
    if own is None or requested is None:
        return None
    record = record or _as_it_would_begin(run, settings)
    by_path = _first_of_each((path, record[name].split) for name, path in _paths(own, record).items())
    corpus = AudioData(folder, workers=0).corpus
    real = {recording.name: os.path.realpath(recording.path) for recording in corpus.split("all")}
    by_name = {name: by_path[path] for name, path in real.items() if path in by_path}
    alike = {name: record[name].split for name, one in list_corpus(corpus).items() if _is_alike(record.get(name), one)}
    if own == requested or len(alike) >= COPIED * len(real):
        by_name = alike | by_name
    return by_name if by_name or own == requested else None


def _paths(own: str, record: dict[str, Listed]) -> dict[str, str]:
    """The real paths of the files that a run was trained on, by the names that its record has."""
    folder = RECORDINGS_FOLDER if own == RECORDINGS else Path(own)
    if folder.is_file() or (folder / MANIFEST_NAME).is_file():
        listed = AudioData(str(folder), workers=0).corpus.split("all")
        return {one.name: os.path.realpath(one.path) for one in listed if one.name in record}
    return {name: os.path.realpath(folder / name) for name in record}


def _is_alike(known: Listed | None, now: Listed) -> bool:
    return known is not None and known.is_still(replace(now, split=known.split))


def _as_it_would_begin(run: RunFolder, settings: dict[str, Any]) -> dict[str, Listed]:
    """The record of a run older than records: its corpus as it is split today, if it exists."""
    folder = settings["folder"]
    if not is_named(folder, RECORDINGS) and not Path(folder).expanduser().exists():
        return {}
    data = AudioData(folder, workers=0, split_seed=settings.get("split_seed") or 0)
    data.split_floor = not run.last.is_file()
    return list_corpus(data.corpus)
