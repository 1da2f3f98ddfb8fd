"""Measures one run, codec or baseline: its metrics, and the bitrates of its entropy coders."""

from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.entropy import entropy_rates
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.bitrate import listed_rates
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders, fitted_identity, language_model_folder
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.measure.evaluate import data_of, evaluate_on, limit, pick_bitrates, usual_split
from codeclab.experiments.runs.measure.keep_entropy import keep_entropy
from codeclab.experiments.runs.measure.keep_evaluation import basis
from codeclab.experiments.runs.measure.settings import MeasuringSettings
from codeclab.experiments.runs.measure.subjects import Subject


@dataclass(frozen=True)
class EntropyMeasurement:
    """The bitrates of a codec's entropy coders.

    Attributes:
        rates: bitrates in kbps, as ``entropy_rates`` gives them, with those that were stored before.
        remark: sentence on what happened to the stored ones; empty if there were none.
        left_out: files that could not be measured.
    """

    rates: DataFrame
    remark: str
    left_out: LeftOut


def data_for(subject: Subject, settings: MeasuringSettings) -> tuple[AudioData, str]:
    """The audio to measure one subject on, and its split."""
    data = data_of(subject.path, settings.data, subject.coder, settings.sample_rate)
    limit(data, settings.clips, settings.seconds, settings.max_left_out)
    if settings.split is not None:
        return data, settings.split
    if subject.path is None and isinstance(subject.coder, Codec):
        return data, "test"  # what a codec that lies nowhere was trained on is not known
    return data, usual_split([subject.path], data)


def measure(subject: Subject, settings: MeasuringSettings) -> Evaluation:
    """Measure a codec or a baseline.

    Raises:
        RecipeError: a codec offers none of the bitrates; the message lists those it offers.
        RuntimeError: a baseline failed.
    """
    data, split = data_for(subject, settings)
    rates = None if settings.bitrates is None else list(settings.bitrates)
    if isinstance(subject.coder, Codec):
        rates = pick_bitrates(subject.coder.bitrates, rates)
        if not rates:
            offered = listed_rates(subject.coder.bitrates)
            raise RecipeError(f"the codec offers none of these bitrates; it offers {offered} kbps")
    evaluation = evaluate_on(data, subject.coder, rates, settings.metrics, split, settings.workers, settings.device)
    return identified(evaluation, subject, data, split)


def identified(evaluation: Evaluation, subject: Subject, data: AudioData, split: str) -> Evaluation:
    """An evaluation with the name of its row, and with what has to be the same in those that are added to it."""
    of = evaluation.info["codec"] or evaluation.info["baseline"]
    evaluation.info |= {"name": subject.name, BASIS: basis(of, data, split)}
    return evaluation


def measure_entropy(
    subject: Subject, settings: MeasuringSettings, output: Path, language_model: Path | None = None
) -> EntropyMeasurement:
    """Measure the kbps of a codec's entropy coders and store them in ``entropy.csv``.

    Args:
        subject: a run or codec, no baseline.
        settings: bitrates and audio; its metrics are not measured.
        output: folder of ``entropy.csv``.
        language_model: folder of the model fitted to the codec; None takes the one beside the codec.

    Raises:
        RecipeError: no entropy coder was fitted to this codec.
    """
    codec, path = subject.coder, subject.path
    assert isinstance(codec, Codec)
    assert path is not None
    coders = Coders.beside(codec, path, language_model)
    if coders.names == ["none"]:
        raise RecipeError(f"no entropy coder was fitted to this codec: codeclab fit-lm --codec {path} fits two")
    data, split = data_for(subject, settings)
    rates = pick_bitrates(codec.bitrates, None if settings.bitrates is None else list(settings.bitrates))
    data.check((split,))
    clips = data.clips(split)
    named = {name: coders.named(name) for name in coders.names}
    measured = entropy_rates(codec, named, clips, rates, settings.device, progress=True)
    model = fitted_identity(language_model or language_model_folder(path))
    stored, remark = keep_entropy(measured, basis(identity(codec), data, split) | {"language_model": model}, output)
    return EntropyMeasurement(stored, remark, LeftOut.of(data.corpus, clips.left_out, clips.shorter))
