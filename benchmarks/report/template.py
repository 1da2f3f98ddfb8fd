"""Pages made of files in a package."""

from collections.abc import Mapping
from importlib.resources import files


def resource(package: str, name: str) -> str:
    """The text of a file.

    Args:
        package: import name of the file's package.
        name: name of the file.
    """
    return files(package).joinpath(name).read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """A template with its placeholders (``@@name@@``) filled in."""
    # Split, not searched again, because a part may hold text that looks like a placeholder.
    pieces = template.split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))
