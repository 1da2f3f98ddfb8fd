"""Reads the codec that a command names with ``--codec``."""

from codeclab.codecs.codec import Codec
from codeclab.experiments.config.files import RecipeError


def load_codec(name: str) -> Codec:
    """A codec by the path, name or hub id that the user gave.

    Raises:
        RecipeError: there is none of that name; the message says what can be given.
    """
    try:
        return Codec.from_pretrained(name)
    except ValueError as error:
        raise RecipeError(f"--codec {name}: {error}") from error
