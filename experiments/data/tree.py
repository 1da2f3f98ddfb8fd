"""The audio files of a folder, with what their folders say of them."""

import os
from collections.abc import Iterator
from pathlib import Path

from codeclab.experiments.data.formats import EXTENSIONS
from codeclab.experiments.data.recording import Recording
from codeclab.experiments.data.splits import FOLDER_SPLITS


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
