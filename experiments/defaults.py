"""Defaults of the classes that a resolved config names, by the config's own keys."""

import dataclasses
import inspect
import sys
import types
import typing
from typing import Any

from codeclab.experiments.run_folder import flatten


def class_defaults(settings: dict[str, Any], owners: dict[str, type]) -> dict[str, Any]:
    """What every argument would be that nobody set.

    Args:
        settings: a resolved config: parts as ``class_path`` and ``init_args``.
        owners: the class of each section, such as ``{"model": CodecExperiment}``.

    Returns:
        values by flat key, such as ``model.quantizer.init_args.decay``; arguments without a default are left out.
    """
    found: dict[str, Any] = {}
    for section, owner in owners.items():
        found |= _of_arguments(settings.get(section) or {}, owner, section)
    return found


def _of_arguments(values: dict[str, Any], owner: type, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(owner).parameters.items():
        key, default = f"{path}.{name}", parameter.default
        if default is not inspect.Parameter.empty:
            found |= flatten(_plain(default), key)
        found |= _of_value(values.get(name), parameter.annotation, key)
    return found


def _of_value(value: Any, annotation: Any, path: str) -> dict[str, Any]:
    """Defaults inside an argument's value: of a part, of each of several, or of a group of settings."""
    found: dict[str, Any] = {}
    if isinstance(value, list):
        for index, item in enumerate(value):
            found |= _of_value(item, annotation, f"{path}[{index}]")
    elif isinstance(value, dict) and "class_path" in value:
        module, _, name = str(value["class_path"]).rpartition(".")
        part = getattr(sys.modules.get(module), name, None)
        if isinstance(part, type):
            found |= _of_arguments(value.get("init_args") or {}, part, f"{path}.init_args")
    elif isinstance(value, dict):
        for kind in typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,):
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                found |= _of_arguments(value, kind, path)
    return found


def _plain(value: Any) -> Any:
    """A default as YAML would hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
