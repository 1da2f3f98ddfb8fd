"""Files that are either the old ones or the new ones, never half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary name in the same folder, renamed at the end of the block; nothing is left where the block fails.

    Args:
        path: the file to write or replace; its folder is made where it is missing.
        durable: whether the content is on the disk before the name is, for files that a power cut must not lose.

    Yields:
        Path: where to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Made here first, to have the mode that the umask says: what some libraries write is for its owner alone.
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        if durable:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file.

    Args:
        path: the file to write or replace.
        content: text, written as UTF-8 with its newlines as they are, or bytes.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
