"""Joins several manifests into one."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.manifest import is_manifest, read_rows, row_name, row_part_of, write_rows
from codeclab.experiments.data.recording import DataError


def join_manifests(manifests: Sequence[Path], output: Path) -> list[dict[str, Any]]:
    """Write one manifest with the rows of several, in their order.

    Args:
        manifests: paths of the manifests.
        output: path of the manifest to write.

    Returns:
        rows of the manifest, with absolute paths.

    Raises:
        DataError: one is not a manifest, or a name occurs twice.
    """
    joined: dict[str, dict[str, Any]] = {}
    for manifest in manifests:
        if not is_manifest(manifest):
            raise DataError(f"{manifest} is not a manifest, which is a CSV file with a 'path' column")
        for row in read_rows(manifest):
            name = row_name(row)
            if name in joined:
                raise DataError(f"{name} is in two manifests; the second is {manifest}")
            own = {"name": name, "part_of": row_part_of(row)}
            joined[name] = {**row, **absolute_paths(row, manifest.parent), **own}
    write_atomically(output, write_rows(joined.values()))
    return list(joined.values())


def absolute_paths(row: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The paths of a manifest's row, relative ones taken from the manifest's folder."""
    keys = [key for key in ("path", "mix_path") if row.get(key)]
    return {key: Path(os.path.abspath(folder / row[key])).as_posix() for key in keys}
