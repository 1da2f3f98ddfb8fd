"""Types of settings, by the names of their flags."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal


def hints_of(owner: type, prefix: str) -> Iterator[tuple[str, Any]]:
    """The arguments of a class, including those of its groups of settings: dotted name and type.

    Args:
        owner: class whose arguments are listed.
        prefix: beginning of the names, such as ``model``.
    """
    for name, hint in typing.get_type_hints(getattr(owner, "__init__")).items():  # noqa: B009 (mypy)
        if name != "return":
            yield f"{prefix}.{name}", hint
            for kind in alternatives(hint):
                if is_group(kind):
                    yield from hints_of(kind, f"{prefix}.{name}")


def is_group(kind: Any) -> bool:
    """Whether a type is a group of settings: a dataclass, or a class of ours without subclasses."""
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind)
        or (kind.__module__.startswith("codeclab.") and not inspect.isabstract(kind) and not kind.__subclasses__())
    )


def class_named(name: Any, hint: Any) -> type | None:
    """The class that a value names, by its short or its full name, among those that derive from a type."""
    left = [kind for kind in alternatives(hint) if isinstance(kind, type) and not isinstance(kind, types.GenericAlias)]
    while left:
        kind = left.pop()
        if kind.__module__ != "builtins" and name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}"):
            return kind
        left += [] if kind.__module__ == "builtins" else kind.__subclasses__()
    return None


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def choices_of(hint: Any) -> list[str]:
    """The values that a setting of this type may have, if they can be listed; else empty."""
    choices: list[str] = []
    for kind in alternatives(hint):
        if kind is bool:
            choices += ["true", "false"]
        elif typing.get_origin(kind) is Literal:
            choices += [str(value) for value in typing.get_args(kind)]
        elif typing.get_origin(kind) is list:
            choices += choices_of(typing.get_args(kind)[0])
    return choices
