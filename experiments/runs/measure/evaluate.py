"""Measures a codec or a baseline: chooses the data, the metrics and the bitrates."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from codeclab.benchmarks.baselines import Baseline, evaluate_baseline, make_baseline
from codeclab.benchmarks.evaluate.evaluate import evaluate
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import refuse_unknown
from codeclab.benchmarks.metrics.synonyms import named_as, one_of_each
from codeclab.codecs.bitrate import is_among
from codeclab.codecs.codec import Codec
from codeclab.codecs.device import choose_device
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.left_out import note_left_out
from codeclab.experiments.runs.measure.keep_evaluation import said_of_same
from codeclab.experiments.runs.training_data import data_settings, known_splits, run_of, trained_on

FULL_BAND = 48000
"""Sample rate in Hz for a baseline that takes any."""


def data_of(
    path: Path | None,
    folder: str | None,
    subject: Codec | Baseline,
    sample_rate: int | None = None,
    beside: Sequence[Path] = (),
) -> AudioData:
    """The data to measure on: the run's settings, with ``folder`` if one is given.

    Args:
        path: the run's folder, or a codec's; None for a baseline, and a codec that lies nowhere.
        folder: audio to measure on in place of the run's.
        subject: the codec or baseline to be measured.
        sample_rate: sampling rate in Hz of the originals it is measured against; None takes its own, or
            ``FULL_BAND`` if it has none.
        beside: other runs measured on the same clips; training files of any of them are not test clips.
    """
    settings: dict[str, Any] = {}
    if path is not None and (run := run_of(path)) is not None:
        stored = data_settings(run)
        wanted = ("folder", "valid_clips", "max_test_clips", "clip_seconds", "max_left_out", "split_seed")
        settings = {key: stored[key] for key in wanted if key in stored}
    if folder is not None:
        settings["folder"] = folder
    rate, channels = sample_rate or subject.sample_rate or FULL_BAND, subject.channels or 1
    data = AudioData(sample_rate=rate, channels=channels, batch_size=1, workers=0, **settings)
    data.known_splits = known_splits([*([] if path is None else [path]), *beside], data.folder)
    return data


def usual_split(paths: Iterable[Path | None], data: AudioData) -> str:
    """The default split to measure or play: test, or all of data without a given one that no run was trained on.

    A codec that is no run may have been trained on whatever files are given as those to train on.
    """
    return "test" if data.corpus.gives_test or any(trained_on(path, data.folder) for path in paths) else "all"


def limit(
    data: AudioData, clips: int | None = None, seconds: float | None = None, max_left_out: float | None = None
) -> None:
    """Take at most so many clips, cut to so many seconds, and allow such a share of unusable files; None: as it is."""
    if clips is not None:
        data.max_test_clips = data.valid_clips = clips
    if seconds is not None:
        data.clip_seconds = seconds
    if max_left_out is not None:
        data.max_left_out = max_left_out


def evaluate_on(
    data: AudioData,
    subject: Codec | Baseline,
    bitrates: Sequence[float] | None,
    metrics: Sequence[str],
    split: str = "test",
    workers: int = 2,
    device: str | None = None,
    title: str = "evaluate",
) -> Evaluation:
    """Measure a codec, or a baseline, on a split's clips.

    Args:
        data: data that the clips come from.
        subject: codec or baseline to measure.
        bitrates: bitrates in kbps; None is all that it offers.
        metrics: names from ``METRICS``.
        split: the part of the data.
        workers: number of processes for ViSQOL.
        device: device that a codec runs on; None takes a GPU where there is one.
        title: title of its progress bar.
    """
    data.check((split,))
    clips = data.clips(split)
    if isinstance(subject, Codec):
        target = choose_device(device)
        evaluation = evaluate(subject, clips, bitrates, metrics, workers=workers, device=target, progress=title)
        evaluation.info["codec"] = identity(subject)
        evaluation.info["parameters"] = sum(parameter.numel() for parameter in subject.parameters())
    else:
        evaluation = evaluate_baseline(subject, clips, bitrates, metrics, workers, progress=title)
    note_left_out(evaluation.info, LeftOut.of(data.corpus, clips.left_out, clips.shorter))
    return evaluation


def read_baseline(words: list[str]) -> Baseline:
    """The baseline that the words after ``--baseline`` name.

    Raises:
        ValueError: there is no such baseline or argument.
        RuntimeError: it is not installed; the message says how to get it.
    """
    spec: dict[str, Any] = {"part": words[0]}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise RecipeError(f"--baseline takes a name and then ARGUMENT=VALUE, not {word!r}")
        spec[name] = yaml.safe_load(value)
    baseline = make_baseline(spec)
    if missing := baseline.available():
        raise RuntimeError(missing)
    return baseline


def choose_metrics(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics to measure, each once, and a note on each that is the same by definition as one before it.

    Raises:
        ValueError: a name is unknown; the message lists the known ones.
    """
    refuse_unknown(names)
    each = dict.fromkeys(names)
    chosen = one_of_each(each)
    return chosen, [said_of_same(name, named_as(name, chosen)) for name in each if name not in chosen]


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
        indices = [round(i * (len(offered) - 1) / (wanted - 1)) for i in range(wanted)]
        return [offered[index] for index in indices]
    return [rate for rate in offered if is_among(rate, wanted)]
