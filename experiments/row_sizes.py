"""Sizes that a table's row sets in the paper's numbers, at the scale in use."""

from collections.abc import Mapping, Sequence
from typing import Any

from codeclab.experiments.assemble import RecipeError, read_scale, read_yaml, recipe_path


def size_flags(flags: Sequence[str], sizes: Mapping[str, int], scale: str | None) -> list[str]:
    """Flags that set sizes in proportion: half the paper's channels are half the scale's, too.

    Args:
        flags: the row's, which name its recipe.
        sizes: the paper's, by setting (``model.encoder.n_filters: 16``); the recipe has each.
        scale: the scale in use; None is the recipe's own sizes.

    Raises:
        RecipeError: there is no recipe among the flags, or it does not set such a size.
    """
    if not sizes:
        return []
    recipe = read_yaml(recipe_path(_recipe_of(flags)))
    parts = read_scale(scale)["parts"] if scale else {}
    return [
        word
        for setting, size in sizes.items()
        for word in (f"--{setting}", str(_in_proportion(recipe, parts, setting, size)))
    ]


def _in_proportion(recipe: dict[str, Any], parts: dict[str, Any], setting: str, size: int) -> int:
    place, _, argument = setting.rpartition(".")
    node: Any = recipe
    for key in place.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    whole = node.get("init_args", {}).get(argument) if isinstance(node, dict) else None
    if not isinstance(whole, int):
        raise RecipeError(f"sizes: the recipe gives no number for {setting}; set it by a flag instead")
    scaled = parts.get(node["class_path"], {}).get(argument, whole)
    return max(1, round(size * scaled / whole))


def _recipe_of(flags: Sequence[str]) -> str:
    for place, word in enumerate(flags):
        if word.startswith("--config="):
            return word.partition("=")[2]
        if word == "--config" and place + 1 < len(flags):
            return flags[place + 1]
    raise RecipeError("sizes: the row's flags name no recipe; begin them with --config NAME")
