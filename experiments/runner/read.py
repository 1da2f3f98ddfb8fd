"""Tables as YAML: a title, a source, and rows made of a name, flags and the paper's figures."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.metrics.registry import METRICS, QUICK_METRICS
from codeclab.benchmarks.metrics.synonyms import named_as, one_of_each
from codeclab.benchmarks.tables.row import Figures, RowSpec
from codeclab.benchmarks.tables.table import FIGURES
from codeclab.experiments.config.files import TABLES, RecipeError, listed, read_yaml, yaml_path
from codeclab.experiments.config.own_code import bring_files
from codeclab.experiments.config.table_rows import imports_of, rows_of
from codeclab.experiments.runner.compute import read_compute
from codeclab.experiments.runner.job import slug
from codeclab.experiments.runner.spec import TableSpec

__all__ = ["TABLES", "read_table"]

OF_ROWS = {"base", "import", "template"}
"""Keys of a table that its rows are made with."""

KEYS = {one.name for one in fields(TableSpec)} - {"name", "imports"} | OF_ROWS
FIGURES_KEYS = {one.name for one in fields(Figures)}


def read_table(name: str) -> TableSpec:
    """Read a table by name or path.

    Raises:
        RecipeError: there is no such table, or its YAML lacks or mistakes something, or a Python file of its ``import``
            cannot be imported.
    """
    path = yaml_path(TABLES, name)
    content = read_yaml(path)
    unknown = set(content) - KEYS
    if unknown:
        raise RecipeError(f"{path}: a table has no {', '.join(sorted(unknown))}; it may have {', '.join(sorted(KEYS))}")
    imports = imports_of(path, content)
    bring_files(imports)  # which may declare metrics
    metrics = one_of_each(content.get("metrics", QUICK_METRICS) or [])
    columns = content.get("columns") or []
    margin = {named_as(name, metrics): value for name, value in (content.get("margin") or {}).items()}
    _known(path, "metric", metrics, METRICS)
    _known(path, "column", columns, COLUMNS)
    _known(path, "metric of the table for the margin", margin, metrics)
    _known(path, "figure", [kind for kind in [content.get("figure")] if kind], FIGURES)
    made = [_row(path, row) for row in rows_of(path, content)]
    _check_folders(path, [row.name for row in made])
    _known(path, "row to compare with", [row for row in [content.get("against")] if row], [row.name for row in made])
    try:
        compute = read_compute(content.get("compute"))
    except ValueError as error:
        raise RecipeError(f"{path}: {error}") from None
    given = {key: value for key, value in content.items() if value is not None and key not in OF_ROWS}
    read = {
        "rows": made,
        "metrics": metrics,
        "columns": columns,
        "margin": margin,
        "compute": compute,
        "imports": imports,
    }
    return TableSpec(**{"name": path.stem, "title": path.stem, "source": "", **given, **read})


def _known(path: Path, what: str, given: Iterable[str], known: Iterable[str]) -> None:
    wrong = [name for name in given if name not in set(known)]
    if wrong:
        raise RecipeError(f"{path}: no {what} {', '.join(wrong)}{listed(wrong[0], known)}")


def _check_folders(path: Path, rows: Sequence[str]) -> None:
    """Refuse names that are the same as a folder's name: one row's figures would take the place of the other's."""
    by_folder: dict[str, str] = {}
    for name in rows:
        other = by_folder.get(slug(name))
        if other == name:
            raise RecipeError(f"{path}: rows need different names, but {name!r} is used twice")
        if other is not None:
            raise RecipeError(
                f"{path}: rows {other!r} and {name!r} differ in signs alone, and would share the folder {slug(name)}; "
                "rename one"
            )
        by_folder[slug(name)] = name


def _row(path: Path, row: dict[str, Any]) -> RowSpec:
    given = {key: value for key, value in row.items() if value is not None}
    if other := named_codec(str(given.get("codec"))):
        given |= {"codec": None, "baseline": other}
    figures = [_figures(path, row["name"], one) for one in given.get("figures", [])]
    return RowSpec(**{"flags": [], **given, "figures": figures})


def _figures(path: Path, name: str, figures: Any) -> Figures:
    if not isinstance(figures, dict) or "published" not in figures or set(figures) - FIGURES_KEYS:
        raise RecipeError(
            f"{path}: the 'figures' of row {name!r} are each a 'published' and may have a 'bitrate', 'label' and "
            f"'domain'; this one is {figures!r}"
        )
    return Figures(**figures)
