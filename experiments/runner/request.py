"""A table's request: what every row is made with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.config.words import Words
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import without_synthetic
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.runner.fit_language_model import read_language_model
from codeclab.experiments.runner.spec import TableSpec, words_at
from codeclab.experiments.runs.disk import why_no_folder
from codeclab.experiments.runs.measure.evaluate import usual_split


@dataclass(frozen=True)
class TableRequest:
    """The request for every row of a table; ``of`` takes what it leaves open from the table and its scale.

    Attributes:
        spec: the table.
        scale: name of the scale; None leaves the recipes' own sizes.
        data: folder of audio; None is the synthetic corpus.
        runs: folder of runs.
        workers: processes for ViSQOL.
        seeds: number of trainings of each row.
        extra: flags of ``codeclab fit`` for every row, parsed.
        alone: a row has one device unless its flags request more, however many the machine has.
        on_cores: rows have a share of the cores each, and so no processes of their own that read audio.
        elsewhere: rows run on other machines, which may have programs or devices that this one lacks.
        split: part of the data that rows which are not trained are measured on.
        language_model: recipe of the one that is trained on each trained row's codes; None trains none.
    """

    spec: TableSpec
    scale: str | None = None
    data: str | None = None
    runs: str = "runs"
    workers: int = 2
    seeds: int = 1
    extra: Words = field(default_factory=Words)
    alone: bool = False
    on_cores: bool = False
    elsewhere: bool = False
    split: str = "test"
    language_model: LanguageModelRecipe | None = None

    @classmethod
    def of(
        cls,
        spec: TableSpec,
        *,
        data: str | None = None,
        scale: str | None = None,
        seeds: int | None = None,
        split: str | None = None,
        fit_lm: str | None = None,
        runs: str = "runs",
        extra: Words | None = None,
    ) -> "TableRequest":
        """A request for rows that are made here, one at a time.

        Args:
            spec: the table.
            data: audio to train and measure on; None is the table's own, or the synthetic corpus.
            scale: name of the scale; None is the table's own, else the recipes'.
            seeds: number of trainings of each row; None is the scale's, else one.
            split: split that rows which are not trained are measured on; None is ``test``, or, in a table without
                trained rows, ``all`` of a corpus without a given test split.
            fit_lm: recipe of the language model that is trained on each row's codes; None trains none.
            runs: folder of runs.
            extra: flags of ``codeclab fit`` for every row, parsed.

        Raises:
            RecipeError: there is no such scale or language model, the table cannot show one, the audio cannot be
                used, or nothing can be written to the folder of runs.
        """
        if reason := why_no_folder(Path(runs)):
            raise RecipeError(reason)
        scale = scale or spec.scale
        folder = without_synthetic(data or spec.data)
        return cls(
            spec,
            scale,
            data=folder,
            runs=runs,
            seeds=(read_scale(scale)["seeds"] if scale else 1) if seeds is None else seeds,
            extra=extra or Words(),
            split=split or _usual_split(spec, folder),
            language_model=read_language_model(fit_lm, spec, folder),
        )

    def on(self, slots: Sequence[str | None], workers: int, elsewhere: bool = False) -> "TableRequest":
        """The request for rows that are made side by side, or on other machines.

        Args:
            slots: slot of each row that is made at the same time; empty for one row at a time.
            workers: processes for ViSQOL, of each row.
            elsewhere: whether rows run on other machines.
        """
        alone = bool(slots) or elsewhere
        return replace(self, workers=workers, alone=alone, on_cores=None in slots, elsewhere=elsewhere)

    def words(self, row: RowSpec) -> Words:
        """The flags of ``codeclab fit`` that make a row at its own seed, parsed."""
        # As text, as the configs of tables have always had it.
        machine: list[tuple[str, Any]] = [("trainer.devices", "1")] if self.alone else []
        machine += [("data.workers", 0)] if self.on_cores else []
        shared: list[tuple[str, Any]] = [("runs", self.runs)]
        shared += [("data.folder", self.data)] if self.data else []
        row_words = Words(settings=machine).joined(words_at(row, self.scale))
        return row_words.joined(Words(scale=self.scale, settings=shared)).joined(self.extra)

    def spec_of(self, row: RowSpec) -> TableSpec:
        """The table with a single one of its rows."""
        return replace(self.spec, rows=[row])


def _usual_split(spec: TableSpec, folder: str | None) -> str:
    kinds = {row.kind for row in spec.rows}
    if "trained" in kinds or not kinds & {"codec", "baseline"}:
        return "test"
    try:
        codecs = [Path(row.codec) for row in spec.rows if row.codec is not None]
        return usual_split(codecs, AudioData(folder, workers=0))
    except DataError as error:
        raise RecipeError(str(error)) from error
