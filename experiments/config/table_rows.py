"""A table's rows from its YAML, and their sizes at a scale; read without torch, so that lists are printed at once."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import RECIPES, RecipeError, read_yaml, yaml_path

ROW_KEYS = {
    *("name", "flags", "sizes", "run", "codec", "baseline", "recipe", "only_published"),
    *("published", "bitrate", "label", "figures", "bitrates", "entropies"),
}
WAYS = ("flags", "codec", "baseline", "recipe", "only_published")
"""Keys that say how a row is made."""


def rows_of(path: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table's YAML.

    Args:
        path: the file, for messages.
        content: content of the file.

    Returns:
        mappings with keys of ``ROW_KEYS``: ``flags`` are words, those of the table's ``base`` first, of rows that are
        trained and none others; the other ways to make a row are as the YAML says.

    Raises:
        RecipeError: there are none, or one lacks or mistakes something.
    """
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows:
        raise RecipeError(f"{path}: 'rows' should list at least one row")
    base = shlex.split(str(content.get("base", "")))
    for file in imports_of(path, content):
        base += ["--import", file]
    return [_row(path, _filled(path, content.get("template"), row), base) for row in rows]


def imports_of(path: Path, content: Mapping[str, Any]) -> list[str]:
    """The Python files that a table's YAML names; arguments are those of ``rows_of``.

    Raises:
        RecipeError: they are no list of names.
    """
    files = content.get("import") or []
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise RecipeError(f"{path}: 'import' should list Python files, as in [my_part.py]; it is {files!r}")
    return files


def _filled(path: Path, template: Any, row: Any) -> Any:
    """A row of ``values`` as one of a name and flags, by the table's template."""
    if not isinstance(row, dict) or "values" not in row:
        return row
    keys = template.get("values", []) if isinstance(template, dict) else []
    if len(keys) != len(row["values"]) or set(template) - {"values", "name", "flags"}:
        raise RecipeError(
            f"{path}: a row of values {row['values']!r} needs a 'template' with as many 'values' (their names), and "
            "'name' and 'flags' with the names in braces"
        )
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in row["values"]]
    values = dict(zip(keys, words, strict=True))
    filled = {key: str(template[key]).format(**values) for key in ("name", "flags") if key in template}
    return {**filled, **{key: value for key, value in row.items() if key != "values"}}


def _row(path: Path, row: Any, base: list[str]) -> dict[str, Any]:
    if not isinstance(row, dict) or "name" not in row or set(row) - ROW_KEYS:
        raise RecipeError(
            f"{path}: a row has a 'name', 'flags' (or a 'codec', 'baseline', 'recipe' or 'only_published') and, where "
            "the paper gives them, 'published' figures with the 'bitrate' (kbps) and 'label' they hold at, or several "
            f"such 'figures'; this one is {row!r}"
        )
    ways = [key for key in WAYS if key in row]
    if len(ways) > 1:
        raise RecipeError(f"{path}: row {row['name']!r} has {' and '.join(ways)}; give only one of them")
    filled = {**row, "name": str(row["name"])}
    if not ways or ways == ["flags"]:
        filled["flags"] = [*base, *shlex.split(str(row.get("flags", "")))]
    return filled


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
    recipe = read_yaml(yaml_path(RECIPES, recipes[0]))
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
