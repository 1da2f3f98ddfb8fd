"""Atomic writing: a file is either the old one or the new one, never incomplete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary path in the same folder, renamed at the end of the block, and deleted if the block fails.

    Args:
        path: path of the file to write or replace; its folder is created if missing.
        durable: whether the content is flushed to the disk before the renaming, for files that must survive a power
            cut.

    Yields:
        temporary path to write to.

    Raises:
        OSError: nothing can be written there, or the path is that of a device or a pipe, which is not replaced.
    """
    if _is_device(path):
        raise OSError(f"{path} is a device or a pipe; the output should be a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Create the file first, with the mode of the umask, and restore this mode: some libraries make it private.
        _create(temporary, path)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        if durable:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_device(path: Path) -> bool:
    folder = path.parent.resolve()
    # Also a link such as /dev/stdout, which may lead to a file, but would itself be replaced.
    in_system = folder == Path("/dev") or folder.is_relative_to("/proc")
    return in_system or path.exists() and not (path.is_file() or path.is_dir())


def _create(temporary: Path, path: Path) -> None:
    try:
        temporary.touch()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file atomically.

    Args:
        path: path of the file to write or replace.
        content: bytes, or text, which is written as UTF-8 with unchanged newlines.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
