"""``codeclab recipes`` and ``codeclab tables``."""

from rich.console import Console
from rich.table import Table

from codeclab.experiments.assemble import RECIPES, names
from codeclab.experiments.tables import TABLES, read_table

HELP = {
    "recipes": "usage: codeclab recipes\n\nLists the recipes: what each trains, at which rates. Train one with "
    "`codeclab fit --config NAME`.\n",
    "tables": "usage: codeclab tables\n\nLists the tables: what each compares, with its rows. Make one with "
    "`codeclab table NAME`.\n",
}


def recipe_summary(name: str) -> tuple[str, str]:
    """The two sentences a recipe's own header says of it: what it is, and its figures."""
    header = [line[1:].strip() for line in (RECIPES / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    return header[0], header[1]


def run(command: str, argv: list[str]) -> int:
    """``codeclab recipes|tables``; returns the exit status."""
    if argv:
        print(HELP[command], end="")
        return 0 if argv[0] in ("-h", "--help") else 2
    table = Table(box=None, pad_edge=False, header_style="bold")
    if command == "recipes":
        for column in ("recipe", "what", "figures"):
            table.add_column(column)
        for name in names(RECIPES):
            table.add_row(name, *recipe_summary(name))
    else:
        for column in ("table", "title", "rows", "source"):
            table.add_column(column)
        for name in names(TABLES):
            spec = read_table(name)
            table.add_row(name, spec.title, "\n".join(row.name for row in spec.rows), spec.source)
    Console().print(table)
    return 0
