"""The clips that rows were measured on, and the rows that cannot be compared because these differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pandas import DataFrame

from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.wording import counted
from codeclab.experiments.data.named import corpus_title


@dataclass(frozen=True)
class ClipSet:
    """Clips that were measured; two are equal if the clips, their length and the rate of the originals are.

    Attributes:
        names: names of the clips.
        seconds: their mean length to a tenth, seconds: at another rate a clip is longer or shorter by part of a sample.
        sample_rate: sampling rate of the originals, Hz; None where it may differ between rows.
        title: the clips in words, such as ``24 clips of the test split of audio``.
    """

    names: frozenset[str]
    seconds: float
    sample_rate: int | None
    title: str = field(compare=False)

    @classmethod
    def of(
        cls, per_file: DataFrame, folder: str | None, split: str = "all", sample_rate: int | None = None
    ) -> "ClipSet":
        """The clips of a per-file table.

        Args:
            per_file: per-file table of an evaluation.
            folder: the audio, as settings name it.
            split: split that the clips are of.
            sample_rate: sampling rate of the originals, Hz; None where it may differ between rows.
        """
        names, seconds = frozenset(per_file["name"]), round(float(per_file["seconds"].mean()), 1)
        part = "" if split == "all" else f"the {split} split of "
        rate = "" if sample_rate is None else f" at {sample_rate / 1000:g} kHz"
        title = f"{counted(len(names), 'clip')} of {part}{corpus_title(folder)}{rate}"
        return cls(names, seconds, sample_rate, title)

    @classmethod
    def of_evaluation(
        cls, evaluation: Evaluation, folder: str | None = None, sample_rate: int | None = None
    ) -> "ClipSet":
        """The clips of an evaluation: those of ``folder``, if a table's stamp names one, or else of its basis."""
        basis = evaluation.info.get(BASIS) or {}
        return cls.of(evaluation.per_file, folder or basis.get("folder"), basis.get("split", "all"), sample_rate)


def clips_remark(rows: Sequence[tuple[str, ClipSet]]) -> str:
    """A sentence on the clips that rows, by name, were measured on, and on which cannot be compared if they differ."""
    names: dict[ClipSet, list[str]] = {}
    for name, clips in rows:
        names.setdefault(clips, []).append(name)
    if len(names) == 1:
        return f"Measured on {rows[0][1].title}."
    listed = "; ".join(f"{clips.title} ({', '.join(of_them)})" for clips, of_them in names.items())
    return (
        "Rows were measured on different clips, or originals of different rates, so that their figures cannot be "
        f"compared: {listed}. `codeclab compare` measures runs on the same clips."
    )


def are_different(rows: Sequence[tuple[str, ClipSet]]) -> bool:
    """Whether rows were measured on different clips, or against originals of different sampling rates."""
    return len({clips for _, clips in rows}) > 1
