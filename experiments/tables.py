"""Tables as YAML: a title, a source, and rows made of a name, flags and the paper's figures."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.experiments.assemble import RecipeError, names, read_yaml

TABLES = Path(__file__).parent / "tables"
KEYS = {"title", "source", "scale", "sample_rate", "bitrates", "metrics", "rows", "base", "import"}
ROW_KEYS = {"name", "flags", "published", "bitrate", "label"}


@dataclass
class TableRow:
    """One row.

    Attributes:
        name: as printed.
        flags: what makes it: the arguments of ``codeclab fit``.
        published: the paper's figures, by metric.
        bitrate: kbps at which the published figures hold; None is the row's highest.
        label: the paper's name of that bitrate, such as "8 kbps".
    """

    name: str
    flags: list[str]
    published: dict[str, float | str] = field(default_factory=dict)
    bitrate: float | None = None
    label: str | None = None


@dataclass
class TableSpec:
    """A table's YAML, read and checked.

    Attributes:
        name: the file's stem.
        title: as printed.
        source: where the rows and the published figures come from.
        rows: in order.
        metrics: what is measured.
        bitrates: kbps to measure at; a number n stands for n rates from lowest to highest; None for all.
        scale: the scale used when none is asked for.
        sample_rate: Hz at which every row is judged, so that codecs of other rates can be compared; None judges each
            codec at its own.
    """

    name: str
    title: str
    source: str
    rows: list[TableRow]
    metrics: list[str]
    bitrates: list[float] | int | None
    scale: str | None
    sample_rate: int | None


def table_path(name: str) -> Path:
    """The YAML of a table given by name or by path.

    Raises:
        RecipeError: there is no such table; the message lists those there are.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else TABLES / f"{name}.yaml"
    if not path.is_file():
        raise RecipeError(f"no table {name!r}; there are: {', '.join(names(TABLES))} (or give a path to a .yaml file)")
    return path


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
    metrics = content.get("metrics") or ["mel_distance", "stft_distance", "si_snr"]
    wrong = [metric for metric in metrics if metric not in METRICS]
    if wrong:
        raise RecipeError(f"{path}: no metric {', '.join(wrong)}; there are: {', '.join(METRICS)}")
    return TableSpec(
        name=path.stem,
        title=content.get("title", path.stem),
        source=content.get("source", ""),
        rows=[_row(path, row, base) for row in rows],
        metrics=metrics,
        bitrates=content.get("bitrates"),
        scale=content.get("scale"),
        sample_rate=content.get("sample_rate"),
    )


def _row(path: Path, row: Any, base: list[str]) -> TableRow:
    if not isinstance(row, dict) or "name" not in row or set(row) - ROW_KEYS:
        raise RecipeError(
            f"{path}: a row has a 'name', 'flags' and, where the paper gives them, 'published' figures with the "
            f"'bitrate' (kbps) and 'label' they hold at; this one is {row!r}"
        )
    return TableRow(
        name=str(row["name"]),
        flags=[*base, *shlex.split(str(row.get("flags", "")))],
        published=row.get("published") or {},
        bitrate=row.get("bitrate"),
        label=row.get("label"),
    )


def pick_bitrates(offered: list[float], wanted: list[float] | int | None) -> list[float]:
    """The rates to measure, out of those a codec offers (kbps, ascending).

    ``wanted`` None takes all, a number n takes n from lowest to highest, a list takes those offered within 1 %.
    """
    if wanted is None:
        return offered
    if isinstance(wanted, int):
        if wanted >= len(offered):
            return offered
        if wanted == 1:
            return offered[-1:]
        places = [round(i * (len(offered) - 1) / (wanted - 1)) for i in range(wanted)]
        return [offered[place] for place in places]
    return [rate for rate in offered if any(abs(rate - w) <= 0.01 * w for w in wanted)]
