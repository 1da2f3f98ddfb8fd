"""``codeclab fit --init``: training starts from the weights of a codec and, if any, of a run's discriminators."""

import hashlib
import json
import pickle
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import config_of, identity
from codeclab.codecs.io.missing import located
from codeclab.codecs.io.parts import ROLES
from codeclab.codecs.io.weights import fill, folded_tensors, some_of
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.parts import LINKED
from codeclab.experiments.runs.folder import RunFolder, flatten
from codeclab.experiments.train.checkpoint import current_names
from codeclab.experiments.train.module import CodecExperiment

LEARNING = (
    *("weight_init", "kmeans_init", "pca_init", "kmeans_iterations", "decay", "epsilon", "dead_threshold"),
    *("dead_share", "gradient", "commitment", "seed"),
)
"""Arguments that say how a part starts and learns, not what it computes; they may differ silently."""

RESTARTS = ("quantizer.counts", "quantizer.updates")
"""Buffers that only a ``FactorizedVQ`` with restarts of unused entries has."""

COMPARED = ("sample_rate", "normalize")
"""Settings of the codec that change the inputs of its weights."""

DISCRIMINATORS = ("model.discriminators", "model.ensemble_per_bandwidth")
"""Settings of the discriminators; each ensemble's bandwidth is compared as well."""

DISCRIMINATORS_TAG = "+critics-"
"""Precedes the discriminators' fingerprint in an identity. Runs are named by identities, so the old word stays."""


@dataclass
class InitSource:
    """The codec or run given by ``--init``.

    Attributes:
        name: the path or hub id, as typed.
        codec: codec with plain weights.
        discriminators: tensors of a run's discriminators by their names in ``CodecExperiment.discriminators``; empty
            where there are none.
        settings: the run's settings, flat; empty for a codec alone.
        identity: fingerprint of the tensors, of the discriminators' too.
    """

    name: str
    codec: Codec
    discriminators: dict[str, Tensor]
    settings: dict[str, Any]
    identity: str


def find_source(settings: dict[str, Any], folder: RunFolder | None) -> InitSource | None:
    """What a run starts from; its identity goes into ``settings["init_identity"]``.

    Args:
        settings: the run's resolved config; ``init`` is None for a start without weights.
        folder: the run's folder, where it is known before the identity is. A run with a checkpoint goes on from that,
            and needs no more than the identity which its config keeps.

    Raises:
        RecipeError: there is no codec, or not the one with which the config was written.
    """
    name, expected = settings["init"], settings["init_identity"]
    if name is None:
        if expected is not None:
            raise RecipeError("--init_identity is the identity that --init must have; give --init too")
        return None
    if folder is not None and folder.last.is_file() and folder.config.is_file():
        stored = folder.settings
        if stored.get("init") == name and expected in (None, stored.get("init_identity")):
            settings["init_identity"] = stored.get("init_identity")
            return None
    source = read_source(name)
    if expected not in (None, source.identity):
        raise RecipeError(
            f"--init {name} has the identity {source.identity}, but the config was written with {expected}; name the "
            f"codec of that identity, or start from the present one with --init {name} on the command line"
        )
    settings["init_identity"] = source.identity
    return source


def read_source(name: str) -> InitSource:
    """Read a codec, and the discriminators where it is a run's.

    Raises:
        RecipeError: it cannot be read; the message says why.
    """
    try:
        codec = Codec.from_pretrained(name)
    except (ValueError, OSError) as error:
        raise RecipeError(f"--init {name}: {error}") from error
    run = RunFolder(located(name))
    discriminators = _read_discriminators(run)
    settings = flatten(run.settings) if discriminators and run.config.is_file() else {}
    fingerprint = identity(codec)
    if discriminators:
        digest = hashlib.sha256()
        for key, tensor in sorted(discriminators.items()):
            digest.update(json.dumps([key, str(tensor.dtype), list(tensor.shape)]).encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        fingerprint += f"{DISCRIMINATORS_TAG}{digest.hexdigest()[:8]}"
    return InitSource(name, codec, discriminators, settings, fingerprint)


def _read_discriminators(run: RunFolder) -> dict[str, Tensor]:
    # The best checkpoint is that of the codec folder; a run that validated nothing has only the last.
    path = next((path for path in (run.best, run.last) if path.is_file()), None)
    if path is None:
        return {}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise RecipeError(
            f"--init {run.path}: the checkpoint {path} cannot be read ({type(error).__name__}); "
            f"--init {run.codec} takes the codec alone"
        ) from error
    prefix = "discriminators."
    return {key.removeprefix(prefix): value for key, value in current_names(state).items() if key.startswith(prefix)}


def begin_from(source: InitSource, model: CodecExperiment, settings: dict[str, Any]) -> str:
    """Give a new experiment the weights of a source, before its first batch.

    The codec's weight norm, where it has one, is applied to them; the averaged copy starts equal; codebooks that have
    learned do not start again. Optimizers start untouched.

    Args:
        source: source of the weights.
        model: the experiment; its codec, average and discriminators are filled in place.
        settings: the run's resolved config.

    Returns:
        one line that says what was taken.

    Raises:
        RecipeError: tensors do not fit; the message names them, and the flags that would fit.
    """
    roles = settings.get("init_parts") or list(ROLES)
    tensors, wanted = folded_tensors(source.codec), folded_tensors(model.codec)
    if "quantizer" in roles:
        _mark_started(tensors, wanted)
    tensors = {name: value for name, value in tensors.items() if name.partition(".")[0] in roles} | {
        name: value for name, value in wanted.items() if name.partition(".")[0] not in roles
    }
    differences = _differences(source.codec, model.codec, roles)
    listed = ", ".join(f"{name} is {_text(theirs)} there and {_text(ours)} here" for name, theirs, ours in differences)
    try:
        fill(model.codec, tensors, f"--init {source.name}")
    except ValueError as error:
        flags = _flags(source.codec, differences)
        names = [name for name, *_ in differences]
        other = "quantizer" in names and all(name.startswith("quantizer") for name in names)
        anew = "; --init_parts [encoder,decoder] lets the quantizer start untrained" if other else ""
        advice = f". {listed}{anew}; to fit it: {flags}" if differences else ""
        raise RecipeError(f"{error}{advice}") from error
    if model.average is not None:
        model.average.load_state_dict(model.codec.state_dict())
    note = f"; note that {listed}" if differences else ""
    taken = "" if len(roles) == len(ROLES) else f", its {' and '.join(roles)}"
    return f"{source.name} ({source.identity}){taken}; {_take_discriminators(source, model, settings)}{note}"


def _mark_started(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Mark a quantizer as started: one built without ``kmeans_init`` or ``pca_init`` does not record its start.

    One without restarts has not counted its entries either, so counting begins here.
    """
    flag = "quantizer.started"
    if flag in wanted:
        tensors.setdefault(flag, torch.ones_like(wanted[flag]))
    for name in RESTARTS:
        if name in wanted:
            tensors.setdefault(name, wanted[name])
    for name in (flag, *RESTARTS):
        if name not in wanted:
            tensors.pop(name, None)


def _take_discriminators(source: InitSource, model: CodecExperiment, settings: dict[str, Any]) -> str:
    """Fill the discriminators if the source has some that fit; returns a remark on them."""
    if not model.discriminators:
        return "there are no discriminators"
    if not source.discriminators:
        return "discriminators start untrained: there are none to take over"
    if why := _why_not(source, model, flatten(settings)):
        return f"discriminators start untrained: those of the run do not fit ({why})"
    model.discriminators.load_state_dict(source.discriminators)
    return "discriminators are those of the run"


def _why_not(source: InitSource, model: CodecExperiment, settings: dict[str, Any]) -> str:
    """How a run's discriminators differ from those of a recipe; empty if they do not."""
    compared = [key for key in settings if key.startswith(DISCRIMINATORS)]
    if len(model.discriminators) > 1:
        compared.append("model.rate_sampling.init_args.bitrates")
    for key in compared:
        theirs, ours = source.settings.get(key, settings[key]), settings[key]
        if theirs != ours:
            return f"{key.replace('.init_args', '')} is {_text(theirs)} there and {_text(ours)} here"
    theirs, ours = source.discriminators, model.discriminators.state_dict()
    odd = [key for key in {**ours, **theirs} if key not in ours or key not in theirs]
    odd += [key for key in ours if key in theirs and ours[key].shape != theirs[key].shape]
    return f"tensors {some_of(odd)}" if odd else ""


def _differences(theirs: Codec, ours: Codec, roles: Sequence[str]) -> list[tuple[str, Any, Any]]:
    """Settings in which two codecs differ in parts: (name, there, here); for a different part, only its name."""
    before, now = config_of(theirs), config_of(ours)
    differing = [(name, before[name], now[name]) for name in COMPARED if before[name] != now[name]]
    for role in roles:
        if before[role]["name"] != now[role]["name"]:
            differing.append((role, before[role]["name"], now[role]["name"]))
            continue
        there, here = before[role]["arguments"], now[role]["arguments"]
        for name in here:
            if name not in LEARNING and f"model.{role}.{name}" not in LINKED and there.get(name) != here[name]:
                differing.append((f"{role}.{name}", there.get(name), here[name]))
    return differing


def _flags(theirs: Codec, differences: list[tuple[str, Any, Any]]) -> str:
    """The flags that build parts which fit the weights; a different part is given with all its arguments."""
    config = config_of(theirs)
    words = []
    for name, value, _ in differences:
        words.append(f"--model.{name} {shlex.quote(_text(value))}")
        if name in ROLES:
            for argument, setting in config[name]["arguments"].items():
                if f"model.{name}.{argument}" not in LINKED and argument not in LEARNING:
                    words.append(f"--model.{name}.{argument} {shlex.quote(_text(setting))}")
    return " ".join(words)


def _text(value: Any) -> str:
    """A value as a flag writes it."""
    return value if isinstance(value, str) else json.dumps(value)
