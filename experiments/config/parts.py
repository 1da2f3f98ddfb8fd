"""Slots for parts, the classes that fit into them, and the arguments that are not free."""

import inspect
import typing
from typing import Any

import yaml
from jsonargparse import get_loader

from codeclab.codecs.io.part_files import DATA_PARTS
from codeclab.codecs.io.parts import UnknownPartError, concrete_subclasses, import_parts_of, part_named
from codeclab.codecs.wording import did_you_mean
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.moved import moved
from codeclab.experiments.config.part_names import INTERNAL
from codeclab.experiments.train.parts import classes_in, import_parts

SHARED = ("dimension", "channels", "strides", "n_codebooks", "codebook_size")
"""Arguments that mean the same in every part: a part that is swapped in takes them over from the recipe's."""

LINKED = {
    "model.quantizer.dimension": "follows the encoder's; set --model.encoder.dimension",
    "model.decoder.dimension": "follows the encoder's; set --model.encoder.dimension",
    "model.quantizer.frame_rate": "follows the sampling rate and the encoder's strides; set --model.encoder.strides",
    "model.spectral_loss.sample_rate": "follows the codec's; set --model.sample_rate",
    "model.seed": "follows the run's; set --seed_everything",
    "data.seed": "follows the run's; set --seed_everything",
    "data.sample_rate": "follows the codec's; set --model.sample_rate",
    "data.channels": "follows the encoder's; set --model.encoder.channels and --model.decoder.channels",
}
"""Settings that follow another one, and where to set that; the parser would drop their own value silently."""


def subclasses(base: type) -> dict[str, type]:
    """Every concrete class derived from ``base`` that has been imported, by its short name."""
    named = {part.__name__: part for part in concrete_subclasses(base)}
    return {name: part for name, part in sorted(named.items()) if not name.startswith("_") and name not in INTERNAL}


def slots(owner: type) -> dict[str, type]:
    """Constructor arguments of ``owner`` that hold parts (or lists of parts), with the part's base class."""
    return {
        name: kind
        for name, hint in typing.get_type_hints(owner.__dict__["__init__"]).items()
        for kind in classes_in(hint)
        if kind.__module__.startswith("codeclab.") and subclasses(kind)
    }


def all_slots() -> dict[str, type]:
    """Every slot for a part, as a flag writes it (``model.quantizer``), with the part's base class.

    The project's parts are imported for that, so that they can be named.
    """
    from codeclab.experiments.data.module import AudioData
    from codeclab.experiments.train.module import CodecExperiment

    import_parts()
    import_parts_of(DATA_PARTS)
    bases = {f"model.{name}": base for name, base in slots(CodecExperiment).items()}
    return bases | {f"data.{name}": base for name, base in slots(AudioData).items()}


def arguments(part: type) -> list[str]:
    """Names of the arguments a part's constructor takes."""
    return list(inspect.signature(part).parameters)


def find_part(slot: str, base: type, name: str) -> type | None:
    """The class that a short or full name means in a slot.

    Raises:
        RecipeError: there is no such class; the message lists the known ones.
    """
    if name in ("null", "None"):
        return None
    name, kind = moved(name), slot.rpartition(".")[2]
    try:
        return part_named(name, subclasses(base), f"no {kind} {name!r}", " (--import FILE.py brings your own)")
    except UnknownPartError as error:
        raise RecipeError(str(error)) from None


def refuse_linked(setting: str) -> None:
    """Refuse a value for a setting that follows another.

    Raises:
        RecipeError: the setting follows another; the message says which one to set.
    """
    if setting in LINKED:
        raise RecipeError(f"--{setting} {LINKED[setting]}")


def check_argument(slot: str, part: type, argument: str) -> None:
    """Refuse an argument that a part does not take, or that follows another.

    Raises:
        RecipeError: with the arguments the part takes.
    """
    takes = arguments(part)
    if argument not in takes:
        free = ", ".join(name for name in takes if f"{slot}.{name}" not in LINKED) or "none"
        hint = did_you_mean(argument, takes)
        raise RecipeError(f"{part.__name__} takes no argument {argument!r}{hint}; it takes: {free}")
    refuse_linked(f"{slot}.{argument}")


def read_node(slot: str, base: type, node: Any) -> tuple[type | None, dict[str, Any]]:
    """A part as YAML or a flag writes it (a name, or ``class_path`` and ``init_args``): its class and its arguments.

    Raises:
        RecipeError: an unknown part or argument.
    """
    if isinstance(node, str) and node.lstrip().startswith("{"):
        node = read_value(slot, node)
    if isinstance(node, str):
        node = {"class_path": node}
    if not isinstance(node, dict) or "class_path" not in node:
        raise RecipeError(f"{slot} should be a part's name, or its class_path and init_args; it is {node!r}")
    part, settings = find_part(slot, base, str(node["class_path"])), node.get("init_args") or {}
    if part is not None:
        for argument in settings:
            check_argument(slot, part, argument)
    return part, settings


def read_value(flag: str, text: str) -> Any:
    """A flag's value written as YAML; its numbers as the parser reads them, which knows ``1e-3``.

    Raises:
        RecipeError: it is not YAML.
    """
    try:
        return get_loader("yaml")(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--{flag}: {text!r} is not YAML") from error
