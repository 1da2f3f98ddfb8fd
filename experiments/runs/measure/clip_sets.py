"""The clips that rows were measured on, and the rows that cannot be compared because these differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.wording import counted
from codeclab.experiments.data.named import corpus_title


@dataclass(frozen=True)
class ClipSet:
    """The clips that an evaluation is of.

    Attributes:
        clips: name and seconds of each.
        title: the same in words, such as ``24 clips of the test split of audio``.
        sample_rate: sampling rate of the originals, Hz; None where it may differ between rows.
    """

    clips: frozenset[tuple[str, float]]
    title: str
    sample_rate: int | None = None

    @classmethod
    def of(cls, evaluation: Evaluation, folder: str | None = None, sample_rate: int | None = None) -> "ClipSet":
        """The clips of an evaluation.

        Args:
            evaluation: evaluation of the clips.
            folder: the audio, if a table's stamp names it; None takes that of the evaluation's basis.
            sample_rate: sampling rate of the originals, Hz; None where it may differ between rows.
        """
        per_file = evaluation.per_file
        clips = frozenset(zip(per_file["name"], per_file["seconds"].round(2), strict=True))
        basis = evaluation.info.get(BASIS) or {}
        split = basis.get("split", "all")
        part = "" if split == "all" else f"the {split} split of "
        title = f"{counted(len(clips), 'clip')} of {part}{corpus_title(folder or basis.get('folder'))}"
        return cls(clips, f"{title} at {sample_rate / 1000:g} kHz" if sample_rate else title, sample_rate)


def clips_remark(rows: Sequence[tuple[str, ClipSet]]) -> str:
    """A sentence on the clips that rows, by name, were measured on, and on which cannot be compared if they differ."""
    sets: dict[tuple[frozenset[tuple[str, float]], int | None], list[str]] = {}
    titles = {(one.clips, one.sample_rate): one.title for _, one in rows}
    for name, one in rows:
        sets.setdefault((one.clips, one.sample_rate), []).append(name)
    if len(sets) == 1:
        return f"Measured on {next(iter(titles.values()))}."
    listed = "; ".join(f"{titles[key]} ({', '.join(names)})" for key, names in sets.items())
    return (
        f"Rows were measured on different clips, or originals of different rates, so that their figures cannot be "
        f"compared: {listed}. `codeclab compare` measures runs on the same clips."
    )


def differ(rows: Sequence[tuple[str, ClipSet]]) -> bool:
    """Whether rows were measured on different clips, or against originals of different sampling rates."""
    return len({(one.clips, one.sample_rate) for _, one in rows}) > 1
