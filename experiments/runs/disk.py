"""Room on a disk, and why something cannot be written: the disk is full, or what the error says."""

import shutil
from pathlib import Path

from codeclab.codecs.wording import first_line

LEAST_FREE = 2**20
"""Bytes; a disk with fewer is full. Libraries that write hide it in errors of their own."""


def free_bytes(path: Path) -> int:
    """Bytes free where ``path`` is, or would be made."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def why_unwritten(path: Path, error: Exception) -> str:
    """Why a file or folder cannot be written, in a few words."""
    if free_bytes(path) < LEAST_FREE:
        return "the disk is full"
    return first_line(error)
