"""Settings in a tree of mappings and lists, as YAML gives it: laid over one another, put in their place, and listed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import RecipeError, read_yaml
from codeclab.experiments.config.parts import read_value


def merged(before: Any, over: Any) -> Any:
    """A value, or of two groups of settings the second over the first; another class takes nothing over."""
    if not (isinstance(before, dict) and isinstance(over, dict)):
        return over
    if before.get("class_path") != over.get("class_path"):
        return over
    return {**before, **{key: merged(before.get(key), value) for key, value in over.items()}}


def placed(node: Any, keys: Sequence[str], value: Any, append: bool = False, name: str = "") -> Any:
    """A node with one setting below it put in its place; nothing that was there is changed itself.

    Args:
        node: a mapping, a part, a list, whose last element is meant, a part's name or file, or None.
        keys: keys of the setting, from the node down; none means the node itself.
        value: value as it was typed, or any other. A mapping is laid over one that is there, but for a part's argument.
        append: whether the value is appended to the list that is there.
        name: the node's dotted name.

    Raises:
        RecipeError: there is a value where a mapping should be, or what is typed as a mapping or a list is none.
    """
    if not keys:
        return [*_listed(node, name), *_listed(value, name)] if append else merged(node, _typed(value, node, name))
    if isinstance(node, list) and node:
        return [*node[:-1], placed(node[-1], keys, value, append, name)]
    group = _group(node, name, keys)
    if "class_path" in group:
        arguments = dict(group.get("init_args") or {})
        if len(keys) == 1 and not append:
            arguments.pop(keys[0], None)  # what is given of a part's argument is all of it
        return {**group, "init_args": placed(arguments, keys, value, append, name)}
    inner = f"{name}.{keys[0]}" if name else keys[0]
    return {**group, keys[0]: placed(group.get(keys[0]), keys[1:], value, append, inner)}


def _group(node: Any, name: str, keys: Sequence[str]) -> dict[str, Any]:
    """A mapping to put settings into; what is only named is a part without arguments."""
    if node is None or node in ("null", []):
        return {}
    if isinstance(node, str):
        node = _typed(node, {}, name)
    if isinstance(node, str):
        return {"class_path": node}
    if not isinstance(node, dict):
        raise RecipeError(f"there is no --{name}.{'.'.join(keys)}: --{name} is {node}")
    return node


def _typed(value: Any, before: Any, name: str) -> Any:
    """What was typed: a mapping, also one in a file where a mapping was before; anything else is the type's to read."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return read_value(name, value)
    in_file = isinstance(before, dict) and value.endswith((".yaml", ".yml")) and Path(value).expanduser().is_file()
    return read_yaml(Path(value).expanduser()) if in_file else value


def _listed(value: Any, name: str) -> list[Any]:
    """Elements of a list, or a value as the only one."""
    read = read_value(name, value) if isinstance(value, str) else value
    return read if isinstance(read, list) else [] if read is None else [read]


def leaves(settings: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a tree by the name that a flag has for it, with its value; that of a part is its class."""
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            outer = key in ("class_path", "init_args")
            yield from leaves(value, name if outer else f"{name}.{key}" if name else key)
    elif isinstance(settings, list) and any(isinstance(item, dict) for item in settings):
        for item in settings:
            yield from leaves(item, name)
    elif name:
        yield name, settings
