"""A table's YAML as data: its rows, their flags and sizes at a scale, and the table as it is printed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from codeclab.benchmarks.tables.row import RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.bitrate import listed_rates
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.config.table_rows import sizes_at
from codeclab.experiments.config.words import Words, read_words
from codeclab.experiments.runner.compute import Compute
from codeclab.experiments.runs.measure.evaluate import pick_bitrates


def words_at(row: RowSpec, scale: str | None) -> Words:
    """A row's flags, parsed, its sizes in proportion to a scale's.

    Args:
        row: row that is trained.
        scale: name of the scale; None is the recipe's own sizes.

    Raises:
        RecipeError: there is no such scale, a flag is no flag of ``codeclab fit``, or the recipe has no such size.
    """
    parts = read_scale(scale)["parts"] if scale and row.sizes else {}
    words = read_words(row.flags)
    return words.joined(Words(settings=list(sizes_at(words.configs, row.sizes, parts).items())))


def none_offered(offered: Sequence[float]) -> str:
    """What is wrong with a row that offers none of the table's bitrates, but those given, in kbps."""
    rates = listed_rates(offered) or "any"
    return f"it offers none of the table's bitrates but {rates} kbps; give 'bitrates' in the row"


@dataclass(frozen=True)
class TableSpec:
    """A table's YAML, read and checked.

    Attributes:
        name: the file's stem.
        title: printed title.
        source: origin of the rows and the published figures.
        rows: rows in order.
        metrics: metrics of decoded audio; may be empty where there are columns.
        bitrates: bitrates to measure at, in kbps; a number n stands for n rates from lowest to highest; None for all.
        scale: the scale used when none is requested.
        sample_rate: sampling rate in Hz at which every row is judged, so that codecs of other rates can be compared;
            None judges each codec at its own.
        columns: names from ``COLUMNS``, shown beside the metrics.
        margin: published difference, by metric, above which two rows are a pair that ``agreement`` counts.
        figure: kind of the picture, from ``FIGURES``; None draws every metric.
        notes: lines to print under the table.
        against: name of the row that the others are compared with clip by clip.
        imports: Python files with parts and metrics.
        compute: the paper's training, where it states one.
        data: the corpus used when none is requested, as ``--data`` takes it; None is the synthetic corpus.
    """

    name: str
    title: str
    source: str
    rows: list[RowSpec]
    metrics: list[str] = field(default_factory=list)
    bitrates: list[float] | int | None = None
    scale: str | None = None
    sample_rate: int | None = None
    columns: list[str] = field(default_factory=list)
    margin: dict[str, float] = field(default_factory=dict)
    figure: str | None = None
    notes: list[str] = field(default_factory=list)
    against: str | None = None
    data: str | None = None
    imports: list[str] = field(default_factory=list)
    compute: Compute | None = None

    def rates_of(self, row: RowSpec, offered: list[float]) -> list[float]:
        """The kbps to measure a row at, out of those it offers: its own, else the table's.

        Args:
            row: specification of the row.
            offered: bitrates that it offers, in kbps, ascending; empty for a baseline that takes any rate, which is
                measured where the paper measured it.
        """
        if not offered:
            if isinstance(row.bitrates, list):
                return row.bitrates
            stated = [figures.bitrate for figures in row.stated if figures.bitrate is not None]
            table_rates = self.bitrates if isinstance(self.bitrates, list) else []
            return list(dict.fromkeys(stated)) or table_rates
        return pick_bitrates(offered, self.bitrates if row.bitrates is None else row.bitrates)

    def printed(self, rows: list[RowResult], notes: list[str], ranked: bool, full_size: bool | None = None) -> Table:
        """The table with rows that were made, as it is printed.

        Args:
            rows: result of each row.
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
