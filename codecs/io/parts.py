"""Parts by short name: which classes a saved codec may be built from, and with what arguments one was built."""

import inspect
import json
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from torch import nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.quantizers.base import Quantizer

ROLES: dict[str, type[nn.Module]] = {"encoder": Encoder, "quantizer": Quantizer, "decoder": Decoder}
"""A codec's parts, and the class each derives from."""

PACKAGES = ("codeclab.codecs", "codeclab.quantizers")

RENAMED_PARTS: dict[str, str] = {}
"""Former short name of a part to its name now."""

RENAMED_ARGUMENTS: dict[str, dict[str, str]] = {}
"""By part: former name of a constructor argument to its name now."""

RENAMED_TENSORS: dict[str, dict[str, str]] = {}
"""By part: former beginning of its tensors' names to the beginning now."""


class UnknownPartError(ValueError):
    """A part's name that no class has; the message lists those there are."""


def import_modules(packages: Sequence[str]) -> None:
    """Import every module of some packages, so that the classes in them are known."""
    for package in packages:
        for module in pkgutil.iter_modules(import_module(package).__path__):
            import_module(f"{package}.{module.name}")


def concrete_subclasses(base: type) -> list[type]:
    """The classes derived from a base, at any depth, that can be built; those that have been imported.

    A name with an underscore is no part: it belongs to the file that it stands in.
    """
    classes: list[type] = []
    children: list[type] = base.__subclasses__()
    for child in children:
        if not inspect.isabstract(child) and not child.__name__.startswith("_"):
            classes.append(child)
        classes += concrete_subclasses(child)
    return classes


def known_parts(role: str, parts: Sequence[type] = ()) -> dict[str, type[nn.Module]]:
    """The classes that may fill a role, by short name.

    Args:
        role: ``encoder``, ``quantizer`` or ``decoder``.
        parts: the caller's own classes, which come before others of the same name.

    Raises:
        ValueError: different classes share a name, and none of them was given in ``parts``.
    """
    import_modules(PACKAGES)
    given = {part.__name__: part for part in parts if issubclass(part, ROLES[role])}
    found: dict[str, type[nn.Module]] = {}
    for part in concrete_subclasses(ROLES[role]):
        name = part.__name__
        other = found.get(name)
        # A notebook's cell run twice defines a class twice under one path; the later one is meant.
        if other is not None and name not in given and _path(other) != _path(part):
            raise ValueError(f"two classes are called {name}: {_path(other)} and {_path(part)}; give one in `parts`")
        found[name] = part
    return found | given


def find_part(role: str, name: str, parts: Sequence[type] = ()) -> type[nn.Module]:
    """The class of a role by its short name, or by a name it had formerly.

    Raises:
        UnknownPartError: there is none; the message lists those there are.
    """
    known = known_parts(role, parts)
    name = name if name in known else RENAMED_PARTS.get(name, name)
    if name not in known:
        raise UnknownPartError(
            f"no {role} is called {name!r}; there are: {', '.join(sorted(known))} "
            "(bring your own: --import FILE.py on the command line, `parts` in Python)"
        )
    return known[name]


def arguments_of(part: nn.Module) -> dict[str, Any]:
    """The constructor arguments a part was built with, defaults included, read from its attributes of the same names.

    Raises:
        ValueError: an argument is kept in no attribute, or is nothing JSON can hold.
    """
    arguments = {}
    for name, parameter in inspect.signature(type(part)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"{type(part).__name__} takes *{name}; a part that is saved names each of its arguments")
        if not hasattr(part, name):
            raise ValueError(
                f"{type(part).__name__} does not keep its argument {name!r}; a part that is saved stores each "
                f"constructor argument as an attribute of that name (self.{name} = {name})"
            )
        value = getattr(part, name)
        arguments[name] = list(value) if isinstance(value, tuple) else value
    try:
        json.dumps(arguments)
    except TypeError as error:
        raise ValueError(f"the arguments of {type(part).__name__} do not fit into JSON: {error}") from error
    return arguments


def build_part(role: str, name: str, arguments: dict[str, Any], parts: Sequence[type] = ()) -> nn.Module:
    """A part from its short name and constructor arguments, either of which may be written as they were formerly.

    Raises:
        ValueError: there is no such part, or it takes other arguments.
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
    """The name now of a part's tensor, which may be given by a former name."""
    for before, now in RENAMED_TENSORS.get(part, {}).items():
        if name.startswith(before):
            return now + name.removeprefix(before)
    return name


def _path(part: type) -> str:
    return f"{part.__module__}.{part.__qualname__}"
