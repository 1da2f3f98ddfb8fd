"""Imports the user's own parts from a Python file."""

import importlib.util
import sys
from pathlib import Path

from codeclab.codecs.io.python_file import run_file
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.moved import moved


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
            f"--import {path}: a module cannot be named {file.stem!r}, or one is already; rename the file"
        )
    try:
        run_file(file, file.stem)
    except Exception as error:
        there = moved(error.name or "") if isinstance(error, ImportError) else ""
        hint = f"; it is {there} now" if there and there != getattr(error, "name", None) else ""
        raise RecipeError(f"--import {path}: {type(error).__name__}: {error}{hint}") from error


def _is_taken(file: Path) -> bool:
    """Whether the file has the name of another module that is imported or installed."""
    if file.stem in sys.modules:
        return True
    spec = importlib.util.find_spec(file.stem)
    # The working directory is on the path of `python -m`, and there the file is spec itself.
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != file)
