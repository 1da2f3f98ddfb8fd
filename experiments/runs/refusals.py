"""Checks of a run after its parts are built and before it has a folder; errors say what would work."""

import json
from collections.abc import Collection, Sequence

import torch
from jsonargparse import Namespace

from codeclab.benchmarks.metrics.registry import METRICS, metrics_named
from codeclab.codecs.io.parts import arguments_of
from codeclab.codecs.wording import by_number, counted
from codeclab.discriminators.ensemble import Ensemble
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.train.compile import missing_compiler
from codeclab.experiments.train.module import CodecExperiment

SPLITS = {"fit": "train", "validate": "valid", "test": "test"}
"""The split that a command needs."""

RECONSTRUCTION = ("waveform", "spectral")
"""Names of the reconstruction losses' weights."""


def rate_advice(model: Namespace, swapped: set[str]) -> str:
    """Flags for a quantizer that learns its own bitrate, as the end of a message; empty if none apply."""
    if "model.quantizer" not in swapped:
        return ""
    single = {"bitrates": None, "bitrate": None, "ensemble_per_bandwidth": False}
    flags = [f"--model.{key} {json.dumps(value)}" for key, value in single.items() if model[key] != value]
    if model.rate_sampling is not None and not model.rate_sampling.class_path.endswith(".AllCodebooks"):
        flags.append("--model.rate_sampling AllCodebooks")
    name = model.quantizer.class_path.rpartition(".")[2]
    return f". If {name} learns its own bitrate, add {' '.join(flags)}" if flags else ""


def _check_metrics(names: Sequence[str]) -> None:
    """Refuse metrics that are unknown, or of a whole test set, or whose package or weights are missing."""
    where = f"--model.validation_metrics [{', '.join(names)}]"
    try:
        whole = [metric.name for metric in metrics_named(names) if not metric.per_file]
    except ValueError as error:
        raise RecipeError(f"{where}: {error}") from error
    if whole:
        of_files = ", ".join(name for name, metric in METRICS.items() if metric.per_file)
        raise RecipeError(
            f"{where}: {', '.join(whole)} {by_number(len(whole), 'needs', 'need')} a whole test set, on which "
            f"codeclab evaluate measures; validation has: {of_files}"
        )


def check_built(command: str, config: Namespace, model: CodecExperiment, data: AudioData) -> None:
    """Refuse a run that cannot work.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        config: resolved settings of the command.
        model: experiment that is built from them.
        data: data that is built from them.

    Raises:
        RecipeError: the message says what is wrong and what would work.
        ValueError: a part that could not be saved, or data that is not there.
    """
    if command == "fit":
        _check_training(config, model)
    _check_metrics(model.validation_metrics)
    codec = model.codec
    for part in (codec.encoder, codec.quantizer, codec.decoder):
        arguments_of(part)  # what cannot be saved is refused before it is trained
    first = model.discriminators[0] if model.discriminators else None
    for discriminator in first.discriminators if isinstance(first, Ensemble) else ():
        judged = getattr(discriminator, "channels", codec.channels)
        if judged != codec.channels:
            raise RecipeError(
                f"{type(discriminator).__name__} judges audio of {counted(judged, 'channel')}, but the codec's "
                f"has {codec.channels}; give each discriminator channels {codec.channels}"
            )
    data.check((SPLITS[command],))


def refuse_no_batches(steps: int, setting: str = "--trainer.max_steps") -> None:
    """Refuse a training without a number of batches; ``setting`` names what should state it, for the message."""
    if steps < 1:
        raise RecipeError(f"{setting} should say how many batches to train, at least 1")


def training_remarks(config: Namespace, model: CodecExperiment) -> list[str]:
    """Sentences on what a run that works would leave out, without its user having asked for that."""
    steps, start = config.trainer.max_steps, config.model.adversarial_start
    remarks = []
    if model.discriminators and start >= steps:
        remarks.append(
            f"adversarial_start is {start} and max_steps {steps}: the discriminators never join; "
            "--model.adversarial_start N lets them"
        )
    if left := steps % min(int(config.trainer.val_check_interval or steps), steps):
        last = counted(left, "batch", "batches")
        remarks.append(
            f"the last {last} of {steps} {by_number(left, 'is', 'are')} not validated, and "
            "so not in the codec that is saved; a --trainer.val_check_interval that divides max_steps changes that"
        )
    for name in RECONSTRUCTION:
        loss = config.model[f"{name}_loss"]
        if loss is not None and not config.model.weights[name]:
            kind = loss.class_path.rpartition(".")[2]
            remarks.append(f"{name}_loss {kind} has the weight 0 and is left out; --model.weights.{name} W trains it")
    return remarks


def refuse_weight_of_nothing(explicit: Collection[str], config: Namespace) -> None:
    """Refuse a flag that weighs a loss that there is not.

    Raises:
        RecipeError: the message names the flag that adds one.
    """
    for name in RECONSTRUCTION:
        weight = config.model.weights[name]
        if f"model.weights.{name}" in explicit and weight and config.model[f"{name}_loss"] is None:
            raise RecipeError(
                f"--model.weights.{name} is {weight:g}, and the recipe has no {name}_loss; "
                f"--model.{name}_loss NAME adds one"
            )


def _check_training(config: Namespace, model: CodecExperiment) -> None:
    start, steps = config.model.quantizer_start, config.trainer.max_steps
    refuse_no_batches(steps)
    interval = config.trainer.val_check_interval
    if interval is not None and (interval != int(interval) or interval < 1):
        raise RecipeError(f"--trainer.val_check_interval is {interval:g}; it should be a whole number of batches")
    joins, warmup = config.model.adversarial_start, config.model.discriminator_warmup
    if model.discriminators and joins < steps <= joins + warmup:
        raise RecipeError(
            f"the discriminators join at batch {joins} (adversarial_start) and learn alone for "
            f"{counted(warmup, 'batch', 'batches')} (discriminator_warmup): of {steps} none is left in which the codec "
            "learns from them"
        )
    if start >= steps:
        raise RecipeError(
            f"quantizer_start is {start} and max_steps {steps}: the quantizer would never join; give more batches, "
            "or --model.quantizer_start 0"
        )
    if config.model.compile:
        on_gpu = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
        if missing := missing_compiler("cuda" if on_gpu else "cpu"):
            raise RecipeError(f"--compile needs {missing}")
