"""``codeclab recipes`` and ``codeclab tables``; without torch, so that lists are printed at once."""

import shlex
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from codeclab.benchmarks.evaluate.console import console
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.config.files import RECIPES, TABLES, RecipeError, names, read_yaml, yaml_path
from codeclab.experiments.config.table_rows import rows_of, sizes_at
from codeclab.experiments.config.words import read_words

HELP = {
    "recipes": "usage: codeclab recipes\n\nLists the recipes: what each trains, at which rates. Train one with "
    "`codeclab fit --config NAME`.\n",
    "tables": "usage: codeclab tables [NAME]\n\nLists the tables: what each compares, from which source; with a NAME, "
    "that table's rows and what makes them. Make one with `codeclab table NAME`.\n",
}


def recipe_summary(name: str) -> tuple[str, str]:
    """The two comment lines at the top of a built-in recipe: what it is, and its figures."""
    header = [line[1:].strip() for line in (RECIPES / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    return header[0], header[1]


def row_summary(row: Mapping[str, Any]) -> str:
    """How a row, as ``rows_of`` returns it, is made: a short text, or its flags."""
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


def list_recipes() -> None:
    """Print every recipe with the two lines of its header."""
    table = _table("recipe", "what", "figures")
    for name in names(RECIPES):
        table.add_row(name, *recipe_summary(name))
    console().print(table)


def list_tables() -> None:
    """Print every table with its title, how many rows it has, and its source."""
    table = _table("table", "title", "rows", "source")
    for name in names(TABLES):
        content = read_yaml(TABLES / f"{name}.yaml")
        rows, source = len(content.get("rows", ())), str(content.get("source", ""))
        table.add_row(name, str(content.get("title", name)), str(rows), source)
    console().print(table)


def list_rows(name: str) -> None:
    """Print a table's rows and how each is made.

    Raises:
        RecipeError: there is no such table.
    """
    path = yaml_path(TABLES, name)
    content = read_yaml(path)
    table = _table("row", "made of")
    for row in rows_of(path, content):
        table.add_row(Text(row["name"]), Text(row_summary(row)))
    out = console()
    out.print(Text(f"{content.get('title', path.stem)}\n{content.get('source', '')}"))
    out.print(table)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def run(command: str, argv: list[str]) -> int:
    """``codeclab recipes|tables``; returns the exit status."""
    if len(argv) > (command == "tables") or any(word.startswith("-") for word in argv):
        print(HELP[command], end="")
        return 0 if {"-h", "--help"} & set(argv) else 2
    if command == "recipes":
        list_recipes()
    elif not argv:
        list_tables()
    else:
        try:
            list_rows(argv[0])
        except RecipeError as error:
            return failed("tables", error)
    return 0
