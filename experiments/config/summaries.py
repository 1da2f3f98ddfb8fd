"""Recipes and rows of tables in a line; read without torch, so that lists are printed at once."""

import shlex
from collections.abc import Mapping
from typing import Any

from codeclab.experiments.config.files import RECIPES
from codeclab.experiments.config.sizes import sizes_at
from codeclab.experiments.config.words import read_words


def recipe_summary(name: str) -> tuple[str, str]:
    """The two comment lines at the top of a built-in recipe: what it is, and its figures."""
    header = [line[1:].strip() for line in (RECIPES / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    return header[0], header[1]


def row_summary(row: Mapping[str, Any]) -> str:
    """How a row is made: a short text, or its flags.

    Args:
        row: row as ``rows_of`` returns it.
    """
    if "baseline" in row:
        return "baseline: " + ", ".join(str(value) for value in row["baseline"].values())
    if "codec" in row:
        return f"codec: {row['codec']}"
    if "recipe" in row:
        return f"recipe, not trained: {row['recipe']}"
    if row.get("only_published"):
        return "the paper's figures only"
    sizes = sizes_at(read_words(row["flags"]).configs, row.get("sizes") or {}, {})
    return shlex.join([*row["flags"], *(word for name, size in sizes.items() for word in (f"--{name}", str(size)))])
