"""Reads the codec that a command names with ``--codec``."""

from collections.abc import Sequence

from codeclab.codecs.codec import Codec
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file


def import_files(files: Sequence[str]) -> None:
    """Import the user's own parts from Python files.

    Raises:
        RecipeError: a file is missing, is not a Python file, or fails to import.
    """
    for file in files:
        import_file(file)


def load_codec(name: str) -> Codec:
    """A codec by the name that the user gave.

    Args:
        name: path, name or hub id, as ``Codec.from_pretrained`` takes it.

    Raises:
        RecipeError: there is none of that name; the message says what can be given.
    """
    try:
        return Codec.from_pretrained(name)
    except ValueError as error:
        raise RecipeError(f"--codec {name}: {error}") from error
