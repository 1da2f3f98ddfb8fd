"""Tables as YAML: a title, a source, and rows made of a name, flags and the paper's figures."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.columns import COLUMNS
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.statistics import ALL
from codeclab.benchmarks.table import FIGURES, Figures, Row, Table
from codeclab.experiments.assemble import RecipeError, names, read_yaml

TABLES = Path(__file__).parent / "tables"
KEYS = {
    *("title", "source", "scale", "sample_rate", "bitrates", "metrics", "columns", "margin", "figure", "notes"),
    *("rows", "base", "import"),
}
ROW_KEYS = {
    *("name", "flags", "codec", "baseline", "recipe", "only_published"),
    *("published", "bitrate", "label", "figures", "bitrates"),
}
FIGURES_KEYS = {"published", "bitrate", "label", "domain"}


@dataclass
class TableRow:
    """One row; how its figures are found is its ``kind``.

    Attributes:
        name: as printed.
        flags: what makes it: the arguments of ``codeclab fit`` (kind "trained").
        published: the paper's figures, by metric or column: a number, or text shown as it stands.
        bitrate: kbps at which the published figures hold; None is the row's highest.
        label: the paper's name of that bitrate, such as "8 kbps".
        codec: folder or hub id of a codec that is measured and not trained (kind "codec").
        baseline: ``{part: Opus, ...constructor arguments}``: measured and not trained (kind "baseline").
        recipe: a recipe whose codec, as large as the recipe says and untrained, only gives the table's columns
            (kind "recipe").
        only_published: nothing here makes this row; it shows the paper's figures (kind "published").
        figures: the paper's figures where they hold at several bitrates or for single domains.
        bitrates: kbps to measure this row at, instead of the table's.
    """

    name: str
    flags: list[str] = field(default_factory=list)
    published: dict[str, float | str] = field(default_factory=dict)
    bitrate: float | None = None
    label: str | None = None
    codec: str | None = None
    baseline: dict[str, Any] | None = None
    recipe: str | None = None
    only_published: bool = False
    figures: list[Figures] = field(default_factory=list)
    bitrates: list[float] | int | None = None

    @property
    def kind(self) -> str:
        """What makes the row: "trained", "codec", "baseline", "recipe" or "published"."""
        if self.only_published:
            return "published"
        given = [kind for kind in ("codec", "baseline", "recipe") if getattr(self, kind) is not None]
        return given[0] if given else "trained"

    def printed(
        self,
        summary: DataFrame | None = None,
        codebooks: DataFrame | None = None,
        wall_seconds: float | None = None,
        parameters: int | None = None,
        error: str | None = None,
    ) -> Row:
        """The row as a table prints it, with what was found about it.

        Args:
            summary: means and intervals, as ``Evaluation.summary`` or ``over_seeds`` gives them, followed by the
                table's columns, as ``codec_columns`` gives them.
            codebooks: ``Evaluation.codebooks``, for the figure of codebook usage.
            wall_seconds: seconds it took to train.
            parameters: number of weights of the codec.
            error: why there is nothing to show, in one line.
        """
        return Row(
            name=self.name,
            summary=summary,
            published=self.published,
            bitrate=self.bitrate,
            label=self.label,
            wall_seconds=wall_seconds,
            parameters=parameters,
            error=error,
            figures=self.figures,
            codebooks=codebooks,
        )


@dataclass
class TableSpec:
    """A table's YAML, read and checked.

    Attributes:
        name: the file's stem.
        title: as printed.
        source: where the rows and the published figures come from.
        rows: in order.
        metrics: what is measured on decoded audio; may be empty where there are columns.
        bitrates: kbps to measure at; a number n stands for n rates from lowest to highest; None for all.
        scale: the scale used when none is asked for.
        sample_rate: Hz at which every row is judged, so that codecs of other rates can be compared; None judges each
            codec at its own.
        columns: names from ``COLUMNS``, shown beside the metrics.
        margin: by metric, the published difference above which two rows are a pair that ``agreement`` counts.
        figure: kind of the picture, from ``FIGURES``; None draws every metric.
        notes: lines to print under the table.
    """

    name: str
    title: str
    source: str
    rows: list[TableRow]
    metrics: list[str]
    bitrates: list[float] | int | None
    scale: str | None
    sample_rate: int | None
    columns: list[str] = field(default_factory=list)
    margin: dict[str, float] = field(default_factory=dict)
    figure: str | None = None
    notes: list[str] = field(default_factory=list)

    def rates_of(self, row: TableRow, offered: list[float]) -> list[float]:
        """The kbps to measure a row at, out of those it offers: its own, else the table's.

        A baseline, which offers any rate, is measured where the paper measured it: pass no offer.
        """
        if not offered:
            if isinstance(row.bitrates, list):
                return row.bitrates
            stated = [figures.bitrate for figures in row.printed().stated if figures.bitrate is not None]
            table_rates = self.bitrates if isinstance(self.bitrates, list) else []
            return list(dict.fromkeys(stated)) or table_rates
        return pick_bitrates(offered, self.bitrates if row.bitrates is None else row.bitrates)

    def printed(self, rows: list[Row], notes: list[str], ranked: bool) -> Table:
        """The table with rows that were made.

        Args:
            rows: as ``TableRow.printed`` gives them.
            notes: lines to print under the table, before the spec's own.
            ranked: whether the rows are trained for long enough for the best figure to be set in bold.
        """
        return Table(
            title=self.title,
            source=self.source,
            metrics=self.metrics,
            rows=rows,
            notes=[*notes, *self.notes],
            ranked=ranked,
            columns=self.columns,
            margin=self.margin,
            figure=self.figure,
        )


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
    metrics = content.get("metrics", ["mel_distance", "stft_distance", "si_snr"]) or []
    columns = content.get("columns") or []
    margin = content.get("margin") or {}
    _known(path, "metric", metrics, METRICS)
    _known(path, "column", columns, COLUMNS)
    _known(path, "metric of the table for the margin", margin, metrics)
    _known(path, "figure", [kind for kind in [content.get("figure")] if kind], FIGURES)
    return TableSpec(
        name=path.stem,
        title=content.get("title", path.stem),
        source=content.get("source", ""),
        rows=[_row(path, row, base) for row in rows],
        metrics=metrics,
        bitrates=content.get("bitrates"),
        scale=content.get("scale"),
        sample_rate=content.get("sample_rate"),
        columns=columns,
        margin=margin,
        figure=content.get("figure"),
        notes=content.get("notes") or [],
    )


def _known(path: Path, what: str, given: Iterable[str], known: Iterable[str]) -> None:
    wrong = [name for name in given if name not in set(known)]
    if wrong:
        raise RecipeError(f"{path}: no {what} {', '.join(wrong)}; there are: {', '.join(known)}")


def _row(path: Path, row: Any, base: list[str]) -> TableRow:
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
    return TableRow(
        name=str(row["name"]),
        flags=[*base, *shlex.split(str(row.get("flags", "")))] if trained else [],
        published=row.get("published") or {},
        bitrate=row.get("bitrate"),
        label=row.get("label"),
        codec=row.get("codec"),
        baseline=row.get("baseline"),
        recipe=row.get("recipe"),
        only_published=bool(row.get("only_published", False)),
        figures=[_figures(path, row["name"], figures) for figures in row.get("figures") or []],
        bitrates=row.get("bitrates"),
    )


def _figures(path: Path, name: str, figures: Any) -> Figures:
    if not isinstance(figures, dict) or "published" not in figures or set(figures) - FIGURES_KEYS:
        raise RecipeError(
            f"{path}: each of row {name!r}'s figures has 'published' and may have {', '.join(sorted(FIGURES_KEYS))}; "
            f"this one is {figures!r}"
        )
    return Figures(figures["published"], figures.get("bitrate"), figures.get("label"), figures.get("domain", ALL))


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
