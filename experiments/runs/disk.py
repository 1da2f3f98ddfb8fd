"""Room on a disk, and why something cannot be written: the disk is full, something is in the way, or an error."""

import os
import shutil
from pathlib import Path

from codeclab.codecs.wording import first_line

LEAST_FREE = 2**20
"""Bytes; a disk with fewer is full. Libraries that write hide it in errors of their own."""


def free_bytes(path: Path) -> int:
    """Bytes free where ``path`` is, or would be made."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def why_no_folder(folder: Path) -> str:
    """Why nothing can be written to a folder, which need not be there yet; empty if it can."""
    nearest = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not nearest.is_dir():
        return f"{folder} should be a folder, but {nearest} is a file"
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"{folder} cannot be written: {nearest} is read-only"


def why_no_file(file: Path) -> str:
    """Why a file cannot be written, which need not be there yet; empty if it can."""
    return f"{file} is a folder; it should be a file" if file.is_dir() else why_no_folder(file.parent)


def why_unwritten(path: Path, error: Exception) -> str:
    """Why a file or folder cannot be written, in a few words."""
    if free_bytes(path) < LEAST_FREE:
        return "the disk is full"
    return first_line(error)
