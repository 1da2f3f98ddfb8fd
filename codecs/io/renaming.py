"""A tensor's name in one package's words in those of another."""

from collections.abc import Iterable


def renamed(name: str, replaced: Iterable[tuple[str, str]]) -> str:
    """A name with some of its parts replaced.

    Args:
        name: name of a tensor in a state dict.
        replaced: parts, and what stands there instead; replaced in this order.
    """
    for old, new in replaced:
        name = name.replace(old, new)
    return name
