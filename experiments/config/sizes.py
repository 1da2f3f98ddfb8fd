"""Sizes of a table's rows, in proportion: half of the paper's channels become half of the scale's."""

from collections.abc import Mapping, Sequence
from typing import Any

from codeclab.experiments.config.files import RecipeError, read_yaml, recipe_path


def sizes_at(recipes: Sequence[str], sizes: Mapping[str, int], parts: Mapping[str, Any]) -> dict[str, int]:
    """Sizes in proportion, by setting.

    Args:
        recipes: names or files of the row's recipes, of which the first counts.
        sizes: the paper's, by setting (``model.encoder.n_filters: 16``); the recipe has each.
        parts: the scale's sizes by part class, as ``read_scale`` gives them; empty for the recipe's own sizes.

    Raises:
        RecipeError: there is no recipe, or it does not set such a size.
    """
    if not sizes:
        return {}
    if not recipes:
        raise RecipeError("sizes: the row's flags name no recipe; begin them with --config NAME")
    recipe = read_yaml(recipe_path(recipes[0]))
    return {setting: _in_proportion(recipe, parts, setting, size) for setting, size in sizes.items()}


def _in_proportion(recipe: dict[str, Any], parts: Mapping[str, Any], setting: str, size: int) -> int:
    part, _, argument = setting.rpartition(".")
    node: Any = recipe
    for key in part.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    whole = node.get("init_args", {}).get(argument) if isinstance(node, dict) else None
    if not isinstance(whole, int):
        raise RecipeError(f"sizes: the recipe gives no number for {setting}; set it by a flag instead")
    scaled = parts.get(node["class_path"], {}).get(argument, whole)
    return max(1, round(size * scaled / whole))
