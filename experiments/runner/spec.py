"""A table's YAML as data: its rows, their flags and sizes at a scale, and the table as it is printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.tables.table import Figures, Row, Table
from codeclab.experiments.config.recipes import RecipeError, read_scale, read_yaml, recipe_path
from codeclab.experiments.runner.compute import Compute
from codeclab.experiments.runs.evaluate import pick_bitrates


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


@dataclass
class TableRow:
    """One row; how its figures are found is its ``kind``.

    Attributes:
        name: as printed.
        flags: what makes it: the arguments of ``codeclab fit`` (kind "trained"); ``flags_at`` completes them.
        sizes: sizes in the paper's numbers, by setting, which a smaller scale makes smaller in proportion.
        run: what the folder of its run is named after, so that a codec that stands in several tables under several
            names is trained once; None takes the row's name.
        published: the paper's figures, by metric or column: a number, or text shown as it stands.
        bitrate: kbps at which the published figures hold; None is the row's highest.
        label: the paper's name of that bitrate, such as "8 kbps".
        codec: folder or hub id of a codec that is measured and not trained (kind "codec"); a YAML's
            ``transformers:NAME_OR_FOLDER`` and ``FILE.py`` are read as the baselines that they are.
        baseline: ``{part: Opus, ...constructor arguments}``: measured and not trained (kind "baseline").
        recipe: a recipe whose codec, as large as the recipe says and untrained, only gives the table's columns
            (kind "recipe").
        only_published: nothing here makes this row; it shows the paper's figures (kind "published").
        figures: the paper's figures where they hold at several bitrates or for single domains.
        bitrates: kbps to measure this row at, instead of the table's.
        entropies: the paper's bits per code of each codebook; None for one that it does not tell.
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
    sizes: dict[str, int] = field(default_factory=dict)
    run: str | None = None
    entropies: list[float | None] = field(default_factory=list)

    def flags_at(self, scale: str | None) -> list[str]:
        """The row's flags, its sizes in proportion to a scale's.

        Args:
            scale: the scale in use; None is the recipe's own sizes.
        """
        return [*self.flags, *size_flags(self.flags, self.sizes, scale)]

    @property
    def run_label(self) -> str:
        """What the folder of its run is named after."""
        return self.run or self.name

    @property
    def kind(self) -> str:
        """What makes the row: "trained", "codec", "baseline", "recipe" or "published"."""
        if self.only_published:
            return "published"
        given = [kind for kind in ("codec", "baseline", "recipe") if getattr(self, kind) is not None]
        return given[0] if given else "trained"

    def jobs(self, seeds: int) -> int:
        """How many jobs make it: one a seed where it is trained, one where it is measured, none where it is shown."""
        return {"trained": seeds, "codec": 1, "baseline": 1}.get(self.kind, 0)

    def printed(
        self,
        summary: DataFrame | None = None,
        codebooks: DataFrame | None = None,
        wall_seconds: float | None = None,
        parameters: int | None = None,
        error: str | None = None,
        seeds: int = 1,
        asked: dict[float, float] | None = None,
        per_file: Sequence[DataFrame] = (),
    ) -> Row:
        """The row as a table prints it, with what was found about it.

        Args:
            summary: means and intervals, as ``Evaluation.summary`` or ``over_seeds`` gives them, followed by the
                table's columns, as ``codec_columns`` gives them.
            codebooks: ``Evaluation.codebooks``, for the figure of codebook usage.
            wall_seconds: seconds it took to train.
            parameters: number of weights of the codec.
            error: why there is nothing to show, in one line.
            seeds: how many trainings the summary is over.
            asked: kbps asked for, by those really spent, where they differ.
            per_file: scores of every file, of each seed.
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
            seeds=seeds,
            asked=asked or {},
            per_file=per_file,
            entropies=self.entropies,
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
        against: name of the row that the others are compared with clip by clip.
        compute: the paper's training, where it states one.
        data: the corpus used when none is asked for, as `--data` takes it; None is the synthetic corpus.
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
    against: str | None = None
    data: str | None = None
    compute: Compute | None = None

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

    def printed(self, rows: list[Row], notes: list[str], ranked: bool, full_size: bool | None = None) -> Table:
        """The table with rows that were made.

        Args:
            rows: as ``TableRow.printed`` gives them.
            notes: lines to print under the table, before the spec's own.
            ranked: whether the rows are trained often or for long enough for the best figure to be set in bold.
            full_size: whether they are the paper's in size and training; None where that is so of ranked rows.
        """
        return Table(
            title=self.title,
            source=self.source,
            metrics=self.metrics,
            rows=rows,
            notes=[*notes, *self.notes],
            ranked=ranked,
            full_size=full_size,
            columns=self.columns,
            margin=self.margin,
            figure=self.figure,
            against=self.against,
        )
