"""Settings given in Python, by name and value, as the words of a command line would set them."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.words import SWITCHES, Words

Flag = str | int | float | bool | None | type | Path | Sequence[Any] | Mapping[str, Any]
"""A setting's value: a number, text, a part's name or class, a path, a list or mapping of these; None is null."""

NO_SETTINGS = ("help", *SWITCHES)
"""Flags of the command that take no value."""


def typed_words(flags: Mapping[str, Flag]) -> Words:
    """Settings as a command line would give them, with their values as they are.

    Args:
        flags: values by the names that ``codeclab fit`` has for them, ``__`` for a dot; ``config`` and ``import`` take
            a name or a list of them.

    Raises:
        RecipeError: a name of a flag without a value, an empty text, or a value that YAML cannot hold.
    """
    words = Words()
    for key, value in flags.items():
        name = key.replace("__", ".")
        if name in NO_SETTINGS:
            raise RecipeError(f"--{name} takes no value")
        if isinstance(value, str) and not value:
            raise RecipeError(f"--{name} needs a value, as in --{name} VALUE")
        plain = _plain(name, value)
        if name == "scale":
            words.scale = plain
        elif name in ("config", "import"):
            (words.configs if name == "config" else words.imports).extend(plain if isinstance(plain, list) else [plain])
        else:
            words.settings.append((name, plain))
    return words


def _plain(name: str, value: Any) -> Any:
    """A value as YAML would give it.

    Raises:
        RecipeError: YAML has none such.
    """
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, Sequence):
        return [_plain(name, item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # NumPy's, too, which YAML could not write
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise RecipeError(
        f"--{name} is {value!r}, of {type(value).__name__}; give a number, text, a part's name or class, or a list or "
        "mapping of these"
    )
