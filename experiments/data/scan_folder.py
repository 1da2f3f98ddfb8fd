"""Scans a folder of audio, or the files that a manifest lists, into a manifest."""

from pathlib import Path

from codeclab.codecs.io.locks import Lock
from codeclab.experiments.data.datasets import DATASETS
from codeclab.experiments.data.manifest import (
    MANIFEST_NAME,
    is_manifest,
    list_tree,
    read_manifest,
    read_rows,
    refuse_empty,
    refuse_source,
    row_name,
)
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.scanning import Row, write_manifest
from codeclab.experiments.data.summary import not_listed


def own_manifest(folder: Path) -> Path:
    """The path of the manifest in a folder of audio, which is read in place of the folder.

    Raises:
        DataError: there is no such folder; a manifest is scanned into one of another name.
    """
    folder = folder.expanduser()
    if not folder.is_dir() and not is_manifest(folder):
        refuse_source(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; say where to write with -o FILE.csv")
    return folder / MANIFEST_NAME


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse to write a manifest where something else is.

    Args:
        output: path of the manifest to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        DataError: the path is a folder, or a file that may not be replaced.
    """
    if output.is_dir():
        raise DataError(f"{output} is a folder; -o needs the name of a CSV file")
    if output.exists() and not overwrite:
        raise DataError(f"{output} exists already; give another name with -o, or replace it with --overwrite")


def scan_folder(
    root: Path, output: Path, workers: int, overwrite: bool, dataset: str | None = None
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Measure every audio file of a folder, a manifest or a paper's dataset, and write the manifest.

    Args:
        root: path of a folder of audio, or of a manifest.
        output: path of the manifest to write.
        workers: number of processes, 1 or more.
        overwrite: whether an existing file may be replaced.
        dataset: name of the dataset that the folder is a copy of, one of ``DATASETS``; None is any audio.

    Returns:
        rows of the manifest, and the name and the reason of every file left out.

    Raises:
        DataError: there is no such folder, no audio in it, or too few processes.
        LockedError: another process is writing the manifest.
    """
    if workers < 1:
        raise DataError(f"--workers is {workers}; it should be at least 1")
    root = root.expanduser()
    skipped: list[tuple[str, str]] = []
    given: dict[str, dict[str, str]] = {}
    if dataset is not None:
        listed = DATASETS[dataset].list_files(root)
    elif is_manifest(root):
        listed = read_manifest(root, skipped)
        given = {row_name(row): row for row in reversed(read_rows(root))}  # of two rows of one name, the first
    elif root.is_dir():
        listed = list_tree(root, skipped)
    else:
        refuse_source(root)
    if not listed and skipped:
        raise DataError(f"no audio in {root}; {not_listed(skipped)}")
    if not listed:
        refuse_empty(root)
    with Lock(output.with_name(f".{output.name}.lock")) as lock:
        lock.hold(str(output), "name another with -o")
        check_output(output, overwrite)
        return write_manifest(listed, output, workers, given), skipped
