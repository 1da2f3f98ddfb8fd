"""Files that are either the old ones or the new ones, never half of one."""

import os
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes under a temporary name in the same folder, then renames; the folder is made where it is missing.

    Args:
        path: The file to write or replace.
        content: Text (written as UTF-8 with newlines as they are) or bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
