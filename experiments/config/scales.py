"""Scales: sizes of parts, batch and steps, which go over a recipe's settings and under flags."""

from collections.abc import Collection, Mapping
from typing import Any

from codeclab.experiments.config.files import SCALES, RecipeError, listed, names, read_yaml
from codeclab.experiments.config.nodes import placed
from codeclab.experiments.config.parts import read_value

SECTIONS = ("parts", "flags", "encoders", "balanced", "unbalanced", "shares")

RENAMED_SCALES = {"demo": "laptop"}
"""Former name of a scale to its name now."""


def read_scale(name: str) -> dict[str, Any]:
    """A scale, which ``apply_scale`` applies to settings.

    ``parts`` are sizes per part class, ``flags`` dotted settings, ``encoders`` dotted settings per encoder class,
    ``balanced`` dotted settings of recipes with a balancer, ``unbalanced`` of those with neither a balancer nor a
    waveform loss, whose losses weigh what their gradients do, and ``shares`` dotted numbers of batches as shares of
    ``trainer.max_steps``, ``seeds`` trainings of a table's row.

    Raises:
        RecipeError: there is no such scale (the message lists the known ones), or its seeds are not a number.
    """
    if name not in names(SCALES):
        former = f" ({name} is now {RENAMED_SCALES[name]})" if name in RENAMED_SCALES else ""
        raise RecipeError(f"no scale {name!r}{listed(name, names(SCALES))}{former}")
    content = read_yaml(SCALES / f"{name}.yaml")
    seeds = content.get("seeds", 1)
    if not isinstance(seeds, int) or seeds < 1:
        raise RecipeError(f"scale {name!r}: 'seeds' is how often a table trains each row, 1 or more, not {seeds!r}")
    return {key: content.get(key) or {} for key in SECTIONS} | {"seeds": seeds}


def apply_scale(settings: dict[str, Any], scale: Mapping[str, Any], explicit: Collection[str]) -> dict[str, Any]:
    """A recipe's settings at a scale, except for those given by flags; ``settings`` is left as it is.

    Args:
        settings: settings by section, as a ``Tree`` has them.
        scale: factors and limits of a scale, as ``read_scale`` gives them.
        explicit: dotted names of settings given by flags, positions in lists numbered.
    """
    settings = _sized(settings, "", scale["parts"], explicit)
    model = settings.get("model") or {}
    flags = dict(scale["flags"])
    # A balancer that a flag took away is an experiment on it: its weights stay as they are.
    if model.get("balancer") is not None or "model.balancer" in explicit:
        flags |= scale["balanced"]
    elif model.get("waveform_loss") is None:
        flags |= scale["unbalanced"]
    flags |= scale["encoders"].get(_short_name(model.get("encoder")), {})
    settings = _with_flags(settings, flags, explicit)
    steps = (settings.get("trainer") or {}).get("max_steps")
    steps = read_value("trainer.max_steps", steps) if isinstance(steps, str) else steps
    if not isinstance(steps, int):  # which the parser refuses
        return settings
    batches = {name: int(share * steps) for name, share in scale["shares"].items()}
    return _with_flags(settings, batches, explicit)


def _short_name(part: Any) -> str:
    return part["class_path"].rpartition(".")[2] if isinstance(part, dict) and "class_path" in part else ""


def _sized(node: Any, path: str, parts: Mapping[str, Any], explicit: Collection[str]) -> Any:
    """A node of the settings in which every part, at any depth, has the scale's sizes."""
    if isinstance(node, list):
        return [_sized(child, f"{path}[{index}]", parts, explicit) for index, child in enumerate(node)]
    if not isinstance(node, dict):
        return node
    is_part = "class_path" in node
    inner = {
        key: _sized(child, path if is_part else f"{path}.{key}" if path else key, parts, explicit)
        for key, child in node.items()
    }
    sizes = parts.get(_short_name(node), {})
    own = {argument: size for argument, size in sizes.items() if f"{path}.{argument}" not in explicit}
    return {**inner, "init_args": (inner.get("init_args") or {}) | own} if own else inner


def _with_flags(settings: dict[str, Any], flags: Mapping[str, Any], explicit: Collection[str]) -> dict[str, Any]:
    for name, value in flags.items():
        owners = {name.rsplit(".", depth)[0] for depth in range(name.count(".") + 1)}
        if owners.isdisjoint(explicit):
            settings = placed(settings, name.split("."), value)
    return settings
