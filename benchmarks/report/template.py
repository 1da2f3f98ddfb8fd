"""Pages made of files that lie in a package."""

from collections.abc import Mapping
from importlib.resources import files


def resource(package: str, name: str) -> str:
    """The text of a file.

    Args:
        package: Import name of the package it lies in.
        name: Of the file.
    """
    return files(package).joinpath(name).read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """A template with its places (``@@name@@``) filled.

    The template is cut, not searched again: a part may hold what looks like a place.

    Args:
        template: Text with places.
        parts: What stands there, by name.
    """
    pieces = template.split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))
