"""A recipe's settings as one tree, into which further recipes and parts are merged."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse import Namespace

from codeclab.experiments.config.parts import SHARED, arguments, check_argument, read_node, refuse_linked
from codeclab.experiments.config.recipes import RecipeError

SECTIONS = ("model", "data")
"""Sections whose arguments may be parts."""

Part = dict[str, Any]
"""A part in a tree: its ``class_path`` and its ``init_args``."""


class Tree:
    """Settings by section and name, with each part as its class and its arguments.

    Args:
        slots: places of parts, such as ``model.quantizer``, with their base class.

    Attributes:
        settings: the tree; what is put into it is copied.
        swapped: slots whose part has been exchanged.
        dropped: a line for each part whose arguments the next one did not take over.
    """

    def __init__(self, slots: Mapping[str, type]) -> None:
        self.slots = slots
        self.settings: dict[str, Any] = {}
        self.swapped: set[str] = set()
        self.dropped: list[str] = []

    def part(self, slot: str) -> Any:
        """The content of a slot: a part, a list of parts, or None."""
        section, _, name = slot.partition(".")
        return self.settings.get(section, {}).get(name)

    def lay_over(self, recipe: Mapping[str, Any]) -> None:
        """Merge a recipe into the tree: its settings replace others, and its parts are swapped in.

        Raises:
            RecipeError: a part, or an argument of one, that does not exist or follows another setting.
        """
        for section, content in recipe.items():
            if section not in SECTIONS:
                self.settings[section] = merged(self.settings.get(section), content)
                continue
            if not isinstance(content, dict | None):
                raise RecipeError(f"{section} should hold settings by their names; it is {content!r}")
            for name, value in (content or {}).items():
                refuse_linked(f"{section}.{name}")
                slot = f"{section}.{name}"
                if slot in self.slots:
                    self.put(slot, value)
                else:
                    home = self.settings.setdefault(section, {})
                    home[name] = merged(home.get(name), value)

    def put(self, slot: str, value: Any) -> list[str]:
        """Put a part, or a list of parts, into a slot; a part takes over the shared arguments of the one it replaces.

        Args:
            slot: such as ``model.quantizer``.
            value: a name, a ``class_path`` with ``init_args``, a list of such, or None.

        Returns:
            the dotted paths of the arguments given with it.

        Raises:
            RecipeError: a part, or an argument of one, that does not exist or follows another setting.
        """
        section, _, name = slot.partition(".")
        home = self.settings.setdefault(section, {})
        if isinstance(value, list):
            home[name] = [self._read(slot, one) for one in value]
            return [f"{slot}[{index}].{key}" for index, one in enumerate(home[name]) for key in given(one)]
        before, part = home.get(name), self._read(slot, value)
        home[name] = self._exchanged(slot, before, part) if isinstance(before, dict) else part
        return [f"{slot}.{key}" for key in given(part)]

    def append(self, slot: str, value: Any) -> list[str]:
        """Append a part to a list of them; returns the dotted paths of the arguments given with it.

        Raises:
            RecipeError: as ``put``.
        """
        section, _, name = slot.partition(".")
        before = self.part(slot)
        listed = before if isinstance(before, list) else []
        part = self._read(slot, value)
        self.settings.setdefault(section, {})[name] = [*listed, part]
        return [f"{slot}[{len(listed)}].{key}" for key in given(part)]

    def set_argument(self, slot: str, argument: str, value: Any) -> str:
        """Set an argument of the part in a slot (in a list, of the last one); returns its dotted path.

        Raises:
            RecipeError: the slot has no part, or the part does not take the argument.
        """
        part, path = self.part(slot), slot
        if isinstance(part, list):
            path, part = f"{slot}[{len(part) - 1}]", part[-1] if part else None
        if part is None:
            raise RecipeError(f"--{slot}.{argument}: there is no {slot.rpartition('.')[2]}; give --{slot} NAME first")
        kind, _ = read_node(slot, self.slots[slot], part)
        assert kind is not None
        check_argument(slot, kind, argument)
        part["init_args"] = {**given(part), argument: value}
        return f"{path}.{argument}"

    def set_in_group(self, group: str, key: str, value: Any) -> bool:
        """Set one of a group of settings; returns whether the group is there."""
        section, _, name = group.partition(".")
        found = self.settings.get(section, {}).get(name)
        if isinstance(found, dict):
            found[key] = value
        return isinstance(found, dict)

    def _read(self, slot: str, value: Any) -> Any:
        """A part as a class and its arguments; None if the slot is to be empty."""
        kind, settings = read_node(slot, self.slots[slot], value) if value is not None else (None, {})
        return kind and as_part(f"{kind.__module__}.{kind.__qualname__}", settings)

    def _exchanged(self, slot: str, before: Part, part: Part | None) -> Part | None:
        """A part that replaces another, with those of its arguments that mean the same in both."""
        base = self.slots[slot]
        former, _ = read_node(slot, base, before)
        kind, _ = read_node(slot, base, part) if part else (None, {})
        if part is not None and kind is former:
            return as_part(part["class_path"], given(before) | given(part))
        self.swapped.add(slot)
        if part is None or kind is None:
            return None
        shared = set(SHARED) & set(arguments(kind))
        lost = [key for key in given(before) if key not in shared and key != "dimension"]
        if lost and former is not None:
            self.dropped.append(
                f"{slot.rpartition('.')[2]} is {kind.__name__}; these arguments of the recipe's {former.__name__} do "
                f"not apply to it: {', '.join(lost)}"
            )
        taken = {key: value for key, value in given(before).items() if key in shared}
        return as_part(part["class_path"], taken | given(part))


def given(part: Part | None) -> dict[str, Any]:
    """A part's arguments, without those that have no value of their own."""
    return (part or {}).get("init_args", {})


def as_part(class_path: str, settings: Mapping[str, Any]) -> Part:
    """A class and its arguments, where there are any."""
    return {"class_path": class_path, "init_args": dict(settings)} if settings else {"class_path": class_path}


def leaves(settings: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a tree by the name of its flag, with its value; a part's value is its class."""
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            outer = key in ("class_path", "init_args")
            yield from leaves(value, name if outer else f"{name}.{key}" if name else key)
    elif isinstance(settings, list) and any(isinstance(item, dict) for item in settings):
        for item in settings:
            yield from leaves(item, name)
    elif name:
        yield name, settings


def as_namespace(value: Any) -> Any:
    """A tree in the parser's form, with groups of settings (also in lists) as namespaces."""
    if isinstance(value, dict):
        return Namespace(**{key: as_namespace(inner) for key, inner in value.items()})
    return [as_namespace(inner) for inner in value] if isinstance(value, list) else value


def merged(before: Any, over: Any) -> Any:
    """The second of two values; a group of settings is merged into the first one unless their classes differ."""
    if not (isinstance(before, dict) and isinstance(over, dict)):
        return over
    if before.get("class_path") != over.get("class_path"):
        return over
    return {**before, **{key: merged(before.get(key), value) for key, value in over.items()}}
