"""The trained codec that ships with the package."""

from pathlib import Path

BOX = "box"
"""Name of the built-in codec for ``Codec.from_pretrained``, ``--codec`` and ``--init``."""

BOX_FOLDER = Path(__file__).parents[1] / BOX
"""16 kHz read speech; its ``README.md`` is the model card."""


def is_box(path: Path | str) -> bool:
    """Whether the word is meant, and no path: what lies in the working directory goes first."""
    return str(path) == BOX and not Path(BOX).exists()
