"""codeclab: neural audio codecs assembled from interchangeable parts, trained from recipes and judged in tables."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec, Codes

_here = Path(__file__).parent
if not (_here / "codecs").is_dir():  # a checkout that lost its symlinks (zip, Windows): look at the root
    __path__.append(str(_here.parents[1]))

_PUBLIC = {"Codec": "codeclab.codecs.codec", "Codes": "codeclab.codecs.codec"}
__all__ = ["Codec", "Codes", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import codeclab`` stays instant."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'codeclab' has no attribute {name!r}; public names: {', '.join(sorted(_PUBLIC))}")
