"""The parts of training, and an experiment's parts as plain values, from which a checkpoint rebuilds them."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codeclab.codecs.io.part_files import CODEC_PARTS, TRAINING_PARTS
from codeclab.codecs.io.parts import concrete_subclasses, import_parts_of, part_named

PLAIN = (str, int, float, bool, type(None))


def import_parts() -> None:
    """Import every module that defines parts of a codec or of its training, which makes their classes known."""
    import_parts_of((*CODEC_PARTS, *TRAINING_PARTS))


def describe(value: Any) -> Any:
    """An argument as plain values; a part becomes the name of its class and its own arguments.

    Raises:
        ValueError: a part does not store its arguments as attributes of the same names.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return type(value)(describe(item) for item in value)
    if isinstance(value, Mapping):
        return {key: describe(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {one.name: describe(getattr(value, one.name)) for one in dataclasses.fields(value)}
    parameters = inspect.signature(type(value)).parameters.values()
    names = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise ValueError(f"{type(value).__name__} keeps its argument {missing[0]!r} in no attribute of that name")
    return {"part": type(value).__name__, "arguments": {name: describe(getattr(value, name)) for name in names}}


def rebuild(owner: Callable[..., Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a class, whose annotations determine each part's base, from the results of ``describe`` by name.

    Raises:
        ValueError: the class of a part is unknown; the message says how to make it known.
    """
    import_parts()
    return {name: _rebuilt(value, _annotation(owner, name)) for name, value in described.items()}


def _rebuilt(value: Any, annotation: Any) -> Any:
    kinds = list(classes_in(annotation))
    if isinstance(value, list | tuple):
        return type(value)(_rebuilt(item, annotation) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "part" in value:
        known = {part.__name__: part for base in kinds for part in [base, *concrete_subclasses(base)]}
        advice = ". If it is one of yours, import its file before you load the checkpoint"
        part = part_named(value["part"], known, f"no part is called {value['part']!r}", advice)
        return part(**{name: _rebuilt(item, _annotation(part, name)) for name, item in value["arguments"].items()})
    group = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
    return dict(value) if group is None else group(**value)


def _annotation(owner: Callable[..., Any], name: str) -> Any:
    constructor = owner.__init__ if isinstance(owner, type) else owner  # type: ignore[misc]
    return typing.get_type_hints(constructor).get(name)


def classes_in(annotation: Any) -> Iterator[type]:
    """The classes in an annotation, including those in unions and lists."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for inner in typing.get_args(annotation):
            yield from classes_in(inner)
    elif isinstance(annotation, type):
        yield annotation
