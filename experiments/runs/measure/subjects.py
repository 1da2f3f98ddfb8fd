"""Runs, codecs and baselines by the words that name them, to be measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeclab.benchmarks.baselines import BASELINES, Baseline, make_baseline
from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.missing import located
from codeclab.codecs.wording import did_you_mean
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.measure.evaluate import read_baseline
from codeclab.experiments.runs.training_data import label_of, run_of


@dataclass(frozen=True)
class Subject:
    """A run, codec or baseline that is measured.

    Attributes:
        name: name of its row: the run's, the codec's or the baseline's.
        coder: codec or baseline.
        path: folder of the run, or the path from which the codec was read; None for a baseline.
    """

    name: str
    coder: Codec | Baseline
    path: Path | None = None

    @property
    def run(self) -> Path | None:
        """Path of a codec that a run trained; None for any other subject."""
        return None if self.path is None or run_of(self.path) is None else self.path


def read_subject(word: str, device: str | None = None) -> Subject:
    """The run or codec that a word names.

    Args:
        word: path or hub id as ``Codec.from_pretrained`` takes it, ``transformers:NAME_OR_FOLDER``, or ``FILE.py``.
        device: device of a codec of another package; None takes its own choice.

    Raises:
        ValueError: there is no such run or codec.
    """
    if other := named_codec(word):
        on_device = {"device": device} if device and "model" in other else {}
        coder = make_baseline(other | on_device)
        return Subject(coder.name, coder)
    path = Path(word)
    return Subject(label_of(path), Codec.from_pretrained(word), path)


def read_subjects(words: Sequence[str]) -> list[Subject]:
    """The runs, codecs and baselines that the words name, under different names.

    Raises:
        RecipeError: one is given twice.
        ValueError: there is no such run, codec or baseline.
    """
    subjects: list[Subject] = []
    for word in words:
        if word in BASELINES and not Path(word).exists():
            subjects.append(Subject(word, read_baseline([word])))
        else:
            path = located(word)
            if not path.exists() and (near := did_you_mean(word, BASELINES)):
                raise RecipeError(f"there is no run, codec or baseline {word!r}{near}")
            subjects.append(Subject(label_of(path), Codec.from_pretrained(word), path))
    names = [subject.name for subject in subjects]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RecipeError(f"{twice[0]} is given twice; rows need different names")
    return subjects


def evaluation_folder(subject: Subject) -> Path:
    """The folder of a subject's evaluation: in the folder of its run or codec, or else in ``evaluations``."""
    if subject.path is None:
        return Path("evaluations") / subject.name
    run = run_of(subject.path)
    folder = subject.path if run is None else run.path
    return folder / "evaluation" if folder.is_dir() else Path("evaluations") / folder.stem
