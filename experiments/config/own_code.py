"""Python files of users that runs keep, and whether they may be executed: a run from elsewhere may bring some, too."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from codeclab.codecs.io.missing import located
from codeclab.codecs.io.python_file import run_file
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.moved import moved

FOLDER = "imports"
"""Folder of a run that holds the files of its parts."""

_allowed: ContextVar[bool] = ContextVar("_allowed", default=False)

DIGEST = "__codeclab_digest__"
"""Attribute of an imported file's module: the hash of the file as it was when it ran; it may have been edited since."""


def import_file(path: str) -> None:
    """Import the user's own parts from a Python file.

    Raises:
        RecipeError: the file is missing, is not a Python file, or fails to import.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file() or file.suffix != ".py":
        raise RecipeError(f"--import {path}: not a Python file")
    if getattr(sys.modules.get(file.stem), "__file__", None) == str(file):
        return
    if not file.stem.isidentifier() or _is_taken(file):
        raise RecipeError(
            f"--import {path}: {file.stem!r} is not a valid or free module name; rename the file, as in my_part.py"
        )
    try:
        digest = _digest(file)
        setattr(run_file(file, file.stem), DIGEST, digest)
    except Exception as error:
        there = moved(error.name or "") if isinstance(error, ImportError) else ""
        hint = f"; it is {there} now" if there and there != getattr(error, "name", None) else ""
        raise RecipeError(f"--import {path}: {type(error).__name__}: {error}{hint}") from error


def import_files(paths: Sequence[str]) -> None:
    """Import the user's own parts from Python files, as ``import_file`` does."""
    for path in paths:
        import_file(path)


def imported_digest(module: str) -> str | None:
    """The hash of the file that an imported module was made from; None where there is none, as in a notebook."""
    imported = sys.modules.get(module)
    file = Path(getattr(imported, "__file__", None) or "")
    return getattr(imported, DIGEST, None) or (_digest(file) if file.is_file() else None)


def _is_taken(file: Path) -> bool:
    """Whether the file has the name of another module that is imported or installed."""
    if file.stem in sys.modules:
        return True
    spec = importlib.util.find_spec(file.stem)
    if spec is None:
        return False
    # The working directory is on the path of `python -m` and of notebooks: the file, or its original, may lie there.
    origin = Path(spec.origin or "")
    return not origin.is_file() or _digest(origin) != _digest(file)


def known_code() -> Path:
    """The file with the hashes of the code that this user has imported by name; it may run without asking."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "codeclab" / "own_code.txt"


def bring(file: str) -> None:
    """Import a file that the user names, and record it as known.

    Raises:
        RecipeError: it cannot be imported.
    """
    import_file(file)
    digest, known = _digest(Path(file)), known_code()
    if digest not in _known():
        with suppress(OSError):  # a home that cannot be written to: runs will ask again
            known.parent.mkdir(parents=True, exist_ok=True)
            with known.open("a", encoding="utf-8") as listed:
                listed.write(f"{digest}\n")


def bring_files(paths: Sequence[str]) -> None:
    """Import files that the user names, and record them, as ``bring`` does."""
    for path in paths:
        bring(path)


@contextmanager
def code_allowed(run_code: bool = True) -> Iterator[None]:
    """Allow the Python files of every run that is read in the block to be executed.

    A process that is started in the block has to be told: it enters a block with ``code_is_allowed()`` of this one.

    Args:
        run_code: whether they are allowed although this user has never imported them; False changes nothing.
    """
    token = _allowed.set(run_code or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def code_is_allowed() -> bool:
    """Whether this is inside of a block in which the files of every run may be executed."""
    return _allowed.get()


def files_of(path: Path | str) -> list[Path]:
    """The Python files of a run, or of the codec in it; empty if there are none, or it is not a folder."""
    folder = located(path)
    homes = [folder / FOLDER, folder.parent / FOLDER] if (folder / "config.json").is_file() else [folder / FOLDER]
    return next((sorted(home.glob("*.py")) for home in homes if home.is_dir()), [])


def import_from(path: Path | str, run_code: bool = False) -> bool:
    """Import the Python files of a run.

    Args:
        path: the run's folder, or its codec's.
        run_code: whether they may be executed although this user has never imported them; as in ``code_allowed``.

    Returns:
        whether there are any files.

    Raises:
        RecipeError: they may not be executed, or cannot be imported, or another version of one is imported already.
    """
    files = files_of(path)
    for file in files:
        module = sys.modules.get(file.stem)
        loaded = getattr(module, "__file__", None)
        if loaded is not None and Path(loaded).is_file() and _digest(Path(loaded)) == _digest(file):
            continue
        if hasattr(module, DIGEST) and loaded is not None and Path(loaded) != file.resolve():
            raise RecipeError(
                f"{file} differs from {loaded}, which is imported already; versions of a file cannot be used "
                "together: leave out --import, or one of the runs, or let the same `codeclab table` measure them again"
            )
        if not (run_code or code_is_allowed() or _digest(file) in _known()):
            raise RecipeError(
                f"{path} brings code that has not been run here before: {file}. Read it first; then allow it by "
                "--run-code (run_code=True in Python), or --import your own copy"
            )
        import_file(str(file))
    return bool(files)


def _known() -> set[str]:
    known = known_code()
    return set(known.read_text(encoding="utf-8").split()) if known.is_file() else set()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()
