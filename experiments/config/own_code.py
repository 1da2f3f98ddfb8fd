"""Python files of the user's own that runs keep, and whether they may be run: a run from elsewhere brings them, too."""

import hashlib
import os
import sys
from pathlib import Path

from codeclab.codecs.io.missing import located
from codeclab.experiments.config.recipes import RecipeError, import_file

FOLDER = "imports"
"""Folder of a run that holds the files its parts came from."""


def known_code() -> Path:
    """The file that lists, by hash, the code that this user has brought by name: that needs no asking."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "codeclab" / "own_code.txt"


def bring(file: str) -> None:
    """Import a file that the user names, and remember that it is known.

    Raises:
        RecipeError: it cannot be imported.
    """
    import_file(file)
    digest, known = _digest(Path(file)), known_code()
    if digest not in _known():
        try:
            known.parent.mkdir(parents=True, exist_ok=True)
            with known.open("a", encoding="utf-8") as listed:
                listed.write(f"{digest}\n")
        except OSError:
            return  # a home that cannot be written to: runs will ask again


def files_of(path: Path | str) -> list[Path]:
    """The files that a run, or the codec in it, brings along; empty where it brings none, or is no folder."""
    folder = located(path)
    homes = [folder / FOLDER, folder.parent / FOLDER] if (folder / "config.json").is_file() else [folder / FOLDER]
    return next((sorted(home.glob("*.py")) for home in homes if home.is_dir()), [])


def import_from(path: Path | str, run_code: bool = False) -> bool:
    """Import the files that a run brings along.

    Args:
        path: the run's folder, or its codec's.
        run_code: whether they may be run although this user has never brought them.

    Returns:
        whether there are any.

    Raises:
        RecipeError: they may not, or cannot be imported.
    """
    files = files_of(path)
    for file in files:
        loaded = getattr(sys.modules.get(file.stem), "__file__", None)
        if loaded is not None and Path(loaded).is_file() and _digest(Path(loaded)) == _digest(file):
            continue
        if not (run_code or _digest(file) in _known()):
            raise RecipeError(
                f"{path} brings code that has not been run here before: {file}. Look at it; --run-code lets it run "
                "(run_code=True in Python), and so does --import with your own copy"
            )
        import_file(str(file))
    return bool(files)


def _known() -> set[str]:
    known = known_code()
    return set(known.read_text(encoding="utf-8").split()) if known.is_file() else set()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()
