"""Tables as YAML: a title, a source, and rows made of a name, flags and the paper's figures."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.metrics.synonyms import named_as, one_of_each
from codeclab.benchmarks.tables.row import Figures, RowSpec
from codeclab.benchmarks.tables.table import FIGURES
from codeclab.experiments.config.files import TABLES, RecipeError, listed, read_yaml, table_path
from codeclab.experiments.runner.compute import read_compute
from codeclab.experiments.runner.spec import TableSpec

__all__ = ["TABLES", "read_table", "table_path"]

KEYS = {
    *("title", "source", "scale", "sample_rate", "bitrates", "metrics", "columns", "margin", "figure", "notes"),
    *("rows", "base", "import", "template", "against", "data", "compute"),
}
ROW_KEYS = {
    *("name", "flags", "sizes", "run", "codec", "baseline", "recipe", "only_published"),
    *("published", "bitrate", "label", "figures", "bitrates", "entropies"),
}
FIGURES_KEYS = {"published", "bitrate", "label", "domain"}


def read_table(name: str) -> TableSpec:
    """Read a table by name or path.

    Raises:
        RecipeError: there is no such table, or its YAML lacks or mistakes something.
    """
    path = table_path(name)
    content = read_yaml(path)
    unknown = set(content) - KEYS
    if unknown:
        raise RecipeError(f"{path}: a table has no {', '.join(sorted(unknown))}; it may have {', '.join(sorted(KEYS))}")
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows:
        raise RecipeError(f"{path}: 'rows' should list at least one row")
    base = shlex.split(str(content.get("base", "")))
    for file in content.get("import") or []:
        base += ["--import", file]
    metrics = one_of_each(content.get("metrics", ["mel_distance", "stft_distance", "si_snr"]) or [])
    columns = content.get("columns") or []
    margin = {named_as(name, metrics): value for name, value in (content.get("margin") or {}).items()}
    _known(path, "metric", metrics, METRICS)
    _known(path, "column", columns, COLUMNS)
    _known(path, "metric of the table for the margin", margin, metrics)
    _known(path, "figure", [kind for kind in [content.get("figure")] if kind], FIGURES)
    made = [_row(path, _filled(path, content.get("template"), row), base) for row in rows]
    _known(path, "row to compare with", [row for row in [content.get("against")] if row], [row.name for row in made])
    try:
        compute = read_compute(content.get("compute"))
    except ValueError as error:
        raise RecipeError(f"{path}: {error}") from None
    return TableSpec(
        name=path.stem,
        title=content.get("title", path.stem),
        source=content.get("source", ""),
        rows=made,
        metrics=metrics,
        bitrates=content.get("bitrates"),
        scale=content.get("scale"),
        sample_rate=content.get("sample_rate"),
        columns=columns,
        margin=margin,
        figure=content.get("figure"),
        notes=content.get("notes") or [],
        against=content.get("against"),
        data=content.get("data"),
        compute=compute,
    )


def _known(path: Path, what: str, given: Iterable[str], known: Iterable[str]) -> None:
    wrong = [name for name in given if name not in set(known)]
    if wrong:
        raise RecipeError(f"{path}: no {what} {', '.join(wrong)}{listed(wrong[0], known)}")


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
    values = {key: _flag_value(value) for key, value in zip(keys, row["values"], strict=True)}
    filled = {key: str(template[key]).format(**values) for key in ("name", "flags") if key in template}
    return {**filled, **{key: value for key, value in row.items() if key != "values"}}


def _flag_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(path: Path, row: Any, base: list[str]) -> RowSpec:
    if not isinstance(row, dict) or "name" not in row or set(row) - ROW_KEYS:
        raise RecipeError(
            f"{path}: a row has a 'name', 'flags' (or a 'codec', 'baseline', 'recipe' or 'only_published') and, where "
            "the paper gives them, 'published' figures with the 'bitrate' (kbps) and 'label' they hold at, or several "
            f"such 'figures'; this one is {row!r}"
        )
    ways = [key for key in ("flags", "codec", "baseline", "recipe", "only_published") if key in row]
    if len(ways) > 1:
        raise RecipeError(f"{path}: row {row['name']!r} has {' and '.join(ways)}; a row is made in one way")
    trained = not ways or ways == ["flags"]
    other = named_codec(str(row["codec"])) if "codec" in row else None
    return RowSpec(
        name=str(row["name"]),
        flags=[*base, *shlex.split(str(row.get("flags", "")))] if trained else [],
        published=row.get("published") or {},
        bitrate=row.get("bitrate"),
        label=row.get("label"),
        codec=None if other else row.get("codec"),
        baseline=other or row.get("baseline"),
        recipe=row.get("recipe"),
        only_published=bool(row.get("only_published", False)),
        figures=[_figures(path, row["name"], figures) for figures in row.get("figures") or []],
        bitrates=row.get("bitrates"),
        sizes=row.get("sizes") or {},
        run=row.get("run"),
        entropies=row.get("entropies") or [],
    )


def _figures(path: Path, name: str, figures: Any) -> Figures:
    if not isinstance(figures, dict) or "published" not in figures or set(figures) - FIGURES_KEYS:
        raise RecipeError(
            f"{path}: the 'figures' of row {name!r} are each a 'published' and may have a 'bitrate', 'label' and "
            f"'domain'; this one is {figures!r}"
        )
    return Figures(figures["published"], figures.get("bitrate"), figures.get("label"), figures.get("domain", ALL))
