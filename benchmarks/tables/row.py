"""A row of a table: its specification and its result."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS, TOGETHER
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.metrics.synonyms import columns_named_as, lines_named_as, named_as

ABSENT = "not here: "
"""Start of the error of a row that only lacks a program or models on this machine, which fails no table."""


@dataclass(frozen=True)
class Figures:
    """Some of a paper's figures for a row.

    Attributes:
        published: figures by metric or column: numbers in its own unit (shares as 0 to 1), or text shown as it stands.
        bitrate: bitrate at which they hold, in kbps; None is the row's highest.
        label: the paper's name of that bitrate, such as "8 kbps".
        domain: the paper's category of sound; ``"all"`` is the whole test set.
    """

    published: Mapping[str, float | str]
    bitrate: float | None = None
    label: str | None = None
    domain: str = ALL


@dataclass(frozen=True)
class RowSpec:
    """The specification of a row; its ``kind`` says how it is made.

    Attributes:
        name: printed name.
        flags: the arguments of ``codeclab fit`` that make it (kind "trained").
        published: the paper's figures by metric or column: numbers in its own unit (shares as 0 to 1), or text that is
            shown as it stands. Names that are neither get a column of their own.
        bitrate: bitrate at which the published figures hold, in kbps; None is the row's highest.
        label: the paper's name of that bitrate, such as "8 kbps".
        codec: folder or hub id of a codec that is measured and not trained (kind "codec"); a YAML's
            ``transformers:NAME_OR_FOLDER`` and ``FILE.py`` are read as the baselines that they are.
        baseline: mapping ``{part: Opus, ...constructor arguments}``: measured and not trained (kind "baseline").
        recipe: a recipe whose codec, as large as the recipe says and untrained, only gives the table's columns
            (kind "recipe").
        only_published: whether nothing here makes this row, which shows the paper's figures (kind "published").
        figures: the paper's figures where they hold at several bitrates or for single domains.
        bitrates: bitrates to measure this row at, in kbps, instead of the table's.
        sizes: sizes in the paper's numbers, by setting, which a smaller scale makes smaller in proportion.
        run: name of its run's folder, so that a codec that stands in several tables under several names is trained
            once; None takes the row's name.
        entropies: the paper's bits per code of each codebook; None for one that it does not state.
    """

    name: str
    flags: Sequence[str] = ()
    published: Mapping[str, float | str] = field(default_factory=dict)
    bitrate: float | None = None
    label: str | None = None
    codec: str | None = None
    baseline: Mapping[str, Any] | None = None
    recipe: str | None = None
    only_published: bool = False
    figures: Sequence[Figures] = ()
    bitrates: list[float] | int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    run: str | None = None
    entropies: Sequence[float | None] = ()

    @property
    def stated(self) -> list[Figures]:
        """All of the paper's figures for this row."""
        whole = [Figures(self.published, self.bitrate, self.label)] if self.published else []
        return [*whole, *self.figures]

    @property
    def run_label(self) -> str:
        """The name of its run's folder."""
        return self.run or self.name

    @property
    def kind(self) -> str:
        """The kind of the row: "trained", "codec", "baseline", "recipe" or "published"."""
        if self.only_published:
            return "published"
        given = [kind for kind in ("codec", "baseline", "recipe") if getattr(self, kind) is not None]
        return given[0] if given else "trained"

    def jobs(self, seeds: int) -> int:
        """Its number of jobs: one per seed if it is trained, one if it is measured, none if it is only shown."""
        return {"trained": seeds, "codec": 1, "baseline": 1, "recipe": 0, "published": 0}[self.kind]


@dataclass(frozen=True)
class Origin:
    """The origin of one training's or measurement's figures.

    Attributes:
        run: folder of the run, or of a baseline's or published codec's figures.
        evaluation: folder of the evaluation.
    """

    run: Path
    evaluation: Path


@dataclass(frozen=True)
class RowResult:
    """The result of a row.

    Attributes:
        spec: specification that the row was made by.
        summary: scores of its codec, ``Evaluation.summary``; None where it was not measured.
        wall_seconds: duration of the training in seconds.
        parameters: number of weights of the codec.
        error: reason why there are no figures, in one line.
        codebooks: statistics of its codec's codebooks, ``Evaluation.codebooks``, where a figure shows them.
        seeds: number of trainings, with other seeds, that its figures are means of.
        requested: bitrates requested, in kbps, by those really used, of an encoder that does not keep to them exactly.
        listened: the listening test that its MUSHRA figures are of, in words.
        per_file: scores by file for each seed, ``Evaluation.per_file``, where rows are compared clip by clip.
        origins: run and evaluation of each seed.
    """

    spec: RowSpec
    summary: DataFrame | None = None
    wall_seconds: float | None = None
    parameters: int | None = None
    error: str | None = None
    codebooks: DataFrame | None = None
    seeds: int = 1
    requested: Mapping[float, float] = field(default_factory=dict)
    listened: str | None = None
    per_file: Sequence[DataFrame] = ()
    origins: Sequence[Origin] = ()

    @classmethod
    def named(cls, name: str, summary: DataFrame | None = None, **more: Any) -> "RowResult":
        """The result of a row that no table's YAML requested, as of a single run.

        Args:
            name: printed name.
            summary: scores of a codec, ``Evaluation.summary``.
            more: attributes of ``RowSpec``, as ``published``, and of this class, as ``seeds``.
        """
        spec = {one.name: more.pop(one.name) for one in fields(RowSpec) if one.name in more}
        return cls(RowSpec(name, **spec), summary, **more)

    def named_as(self, metrics: Sequence[str]) -> "RowResult":
        """The same with its metrics under the names that they have among ``metrics``."""
        if self.summary is None or all(named_as(name, metrics) == name for name in self.summary["metric"].unique()):
            return self
        per_file = [columns_named_as(table, metrics) for table in self.per_file]
        return replace(self, summary=lines_named_as(self.summary, metrics), per_file=per_file)

    @property
    def name(self) -> str:
        """Printed name."""
        return self.spec.name

    @property
    def stated(self) -> list[Figures]:
        """All of the paper's figures for this row."""
        return self.spec.stated

    @property
    def entropies(self) -> Sequence[float | None]:
        """The paper's bits per code of each codebook; None for one that it does not state."""
        return self.spec.entropies

    @property
    def each_codebook(self) -> DataFrame:
        """The lines of ``codebooks`` of single ones over all clips, at the highest bitrate; none where not measured."""
        if self.codebooks is None:
            return DataFrame(columns=CODEBOOK_COLUMNS)
        alone = self.codebooks[(self.codebooks["domain"] == ALL) & (self.codebooks["codebook"] != TOGETHER)]
        return alone[alone["bitrate_kbps"] == alone["bitrate_kbps"].max()]

    @property
    def absent(self) -> bool:
        """Whether it has no figures because a program or models are not on this machine."""
        return self.error is not None and self.error.startswith(ABSENT)

    @property
    def asked(self) -> Mapping[float, float]:
        """The former name of ``requested``."""
        warnings.warn("RowResult.asked is now called requested", FutureWarning, stacklevel=2)
        return self.requested

    def requested_for(self, bitrate: float) -> float:
        """The requested kbps for the used ones, which a file of figures may have rounded."""
        return next((requested for spent, requested in self.requested.items() if math.isclose(spent, bitrate)), bitrate)
