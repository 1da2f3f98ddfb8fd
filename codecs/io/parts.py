"""Parts by short name: the classes of which a saved codec can consist, and a part's constructor arguments."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from torch import nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.io.part_files import CODEC_PARTS, modules_of
from codeclab.codecs.wording import did_you_mean
from codeclab.quantizers.base import Quantizer

ROLES: dict[str, type[nn.Module]] = {"encoder": Encoder, "quantizer": Quantizer, "decoder": Decoder}
"""Roles of a codec's parts, and the base class of each."""

Part = TypeVar("Part", bound=type)

RENAMED_PARTS: dict[str, str] = {}
"""Current short names of parts, by former short name."""

RENAMED_ARGUMENTS: dict[str, dict[str, str]] = {}
"""Current names of constructor arguments, by part and former name."""

RENAMED_TENSORS: dict[str, dict[str, str]] = {}
"""Current prefixes of tensors' names, by part and former prefix."""


class UnknownPartError(ValueError):
    """No part has this name; the message lists the known names."""


def import_parts_of(patterns: Iterable[str]) -> None:
    """Import files that define parts, which makes their classes known.

    Args:
        patterns: glob patterns of files, from ``part_files``.
    """
    for module in modules_of(patterns):
        import_module(module)


def concrete_subclasses(base: type) -> list[type]:
    """The concrete classes derived from a base at any depth, among those that have been imported.

    A class whose name begins with an underscore is private to its file, and not a part.
    """
    classes: list[type] = []
    children: list[type] = base.__subclasses__()
    for child in children:
        if not inspect.isabstract(child) and not child.__name__.startswith("_"):
            classes.append(child)
        classes += concrete_subclasses(child)
    return classes


def known_parts(role: str, parts: Sequence[type] = ()) -> dict[str, type[nn.Module]]:
    """The classes that can have a role, by short name.

    Args:
        role: role, ``encoder``, ``quantizer`` or ``decoder``.
        parts: classes of the caller, which take precedence over others of the same name.

    Raises:
        ValueError: different classes share a name, and none of them is in ``parts``.
    """
    import_parts_of(CODEC_PARTS)
    given = {part.__name__: part for part in parts if issubclass(part, ROLES[role])}
    classes: dict[str, type[nn.Module]] = {}
    for part in concrete_subclasses(ROLES[role]):
        name = part.__name__
        other = classes.get(name)
        # A notebook's cell that runs twice defines a class twice under one path; the later class is used.
        if other is not None and name not in given and _path(other) != _path(part):
            raise ValueError(f"two classes are called {name}: {_path(other)} and {_path(part)}; give one in `parts`")
        classes[name] = part
    return classes | given


def part_named(name: str, known: Mapping[str, Part], unknown: str, advice: str) -> Part:
    """The class that a short name, or a full one with its module, means.

    Args:
        name: name of a class.
        known: classes by short name.
        unknown: beginning of the message for an unknown name, such as "no encoder 'Nope'".
        advice: end of that message, how to make a class of one's own known.

    Raises:
        UnknownPartError: there is no such class; the message has the closest name, and lists the known ones.
    """
    for part in known.values():
        if _path(part) == name:
            return part
    if name not in known:
        raise UnknownPartError(f"{unknown}{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}{advice}")
    return known[name]


def find_part(role: str, name: str, parts: Sequence[type] = ()) -> type[nn.Module]:
    """The class of a role by its short name, or by a former name.

    Raises:
        UnknownPartError: there is no such class; the message lists the known names.
    """
    known = known_parts(role, parts)
    name = name if name in known else RENAMED_PARTS.get(name, name)
    advice = " (for your own parts: --import FILE.py on the command line, `parts` in Python)"
    return part_named(name, known, f"no {role} is called {name!r}", advice)


def arguments_of(part: nn.Module) -> dict[str, Any]:
    """The constructor arguments of a part, with defaults, read from its attributes of the same names.

    Raises:
        ValueError: an argument is not stored as an attribute, or cannot be written as JSON.
    """
    arguments = {}
    for name, parameter in inspect.signature(type(part)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(
                f"{type(part).__name__} takes *{name}; a part that is saved should name each of its arguments"
            )
        if not hasattr(part, name):
            raise ValueError(
                f"{type(part).__name__} does not keep its argument {name!r}; a part that is saved should store each "
                f"constructor argument as an attribute of that name (self.{name} = {name})"
            )
        value = getattr(part, name)
        arguments[name] = list(value) if isinstance(value, tuple) else value
    try:
        json.dumps(arguments)
    except TypeError as error:
        raise ValueError(f"the arguments of {type(part).__name__} cannot be written as JSON: {error}") from error
    return arguments


def build_part(role: str, name: str, arguments: dict[str, Any], parts: Sequence[type] = ()) -> nn.Module:
    """A part from its short name and constructor arguments, both of which may be former names.

    Raises:
        ValueError: there is no such part, or it does not take the arguments.
    """
    part = find_part(role, name, parts)
    renamed = RENAMED_ARGUMENTS.get(part.__name__, {})
    arguments = {renamed.get(key, key): value for key, value in arguments.items()}
    signature = inspect.signature(part)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"the {role} {part.__name__} cannot be built: {error}; it takes {', '.join(signature.parameters)}"
        ) from error
    return part(**arguments)


def tensor_name_now(part: str, name: str) -> str:
    """The current name of a part's tensor, which may be given by a former name."""
    for before, now in RENAMED_TENSORS.get(part, {}).items():
        if name.startswith(before):
            return now + name.removeprefix(before)
    return name


def _path(part: type) -> str:
    return f"{part.__module__}.{part.__qualname__}"
