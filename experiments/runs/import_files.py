"""Imports the Python files that a command names with ``--import``."""

from collections.abc import Sequence

from codeclab.experiments.config.own_code import import_file


def import_files(files: Sequence[str]) -> None:
    """Import the user's own parts from Python files.

    Raises:
        RecipeError: a file is missing, is not a Python file, or fails to import.
    """
    for file in files:
        import_file(file)
