"""A recipe's settings as one tree, into which further recipes and parts are merged."""

import json
from collections.abc import Mapping
from typing import Any

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.nodes import merged, placed
from codeclab.experiments.config.parts import SHARED, arguments, check_argument, read_node, read_value, refuse_linked

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
            before = self.settings.get(section)
            if not isinstance(content, dict | None) and (section in SECTIONS or isinstance(before, dict)):
                raise RecipeError(f"{section} should hold settings by their names; it is {content!r}")
            if section not in SECTIONS:
                self.settings[section] = merged(before, content)
                continue
            for name, value in (content or {}).items():
                refuse_linked(f"{section}.{name}")
                slot = f"{section}.{name}"
                if slot in self.slots:
                    self.put(slot, value)
                else:
                    home = self.settings.setdefault(section, {})
                    home[name] = merged(home.get(name), value)

    def put(self, slot: str, value: Any, append: bool = False) -> list[str]:
        """Put a part, or a list of parts, into a slot; a part takes over the shared arguments of the one it replaces.

        Args:
            slot: such as ``model.quantizer``.
            value: a name, a ``class_path`` with ``init_args``, a list of such, or None.
            append: whether the part is appended to the list that is there.

        Returns:
            the dotted paths of the arguments given with it.

        Raises:
            RecipeError: a part, or an argument of one, that does not exist or follows another setting.
        """
        section, _, name = slot.partition(".")
        home = self.settings.setdefault(section, {})
        before = home.get(name)
        # A list replaces the recipe's as a whole: which of its parts one of another list takes over from is undefined.
        if append or isinstance(value, list):
            present = before if append and isinstance(before, list) else []
            added = [self._read(slot, one) for one in (value if isinstance(value, list) else [value])]
            home[name] = [*present, *added]
            return [f"{slot}[{index}].{key}" for index, one in enumerate(added, len(present)) for key in given(one)]
        part = self._read(slot, value)
        home[name] = self._exchanged(slot, before, part) if isinstance(before, dict) else part
        return [f"{slot}.{key}" for key in given(part)]

    def set(self, setting: str, value: Any, append: bool = False) -> list[str]:
        """Set any setting by its dotted name, one of a list of parts in the last of them.

        Args:
            setting: a part's slot, an argument of the part in one, or another.
            value: value as a flag has it, or as YAML gives it.
            append: whether it is appended to the list that is there.

        Returns:
            the dotted paths of what is set with it; positions in lists are numbered.

        Raises:
            RecipeError: a part or an argument that does not exist or follows another setting, or a value that is no
                mapping or list where there should be one.
        """
        refuse_linked(setting)
        if setting in self.slots:
            return self.put(setting, value, append) if append else [setting, *self._put_typed(setting, value)]
        slot, _, argument = setting.rpartition(".")
        path = self._path_to(slot, argument, append) if slot in self.slots else setting
        content = placed(self.settings, setting.split("."), value, append)
        if not slot and isinstance(self.settings.get(setting), dict):
            self.lay_over({setting: content[setting]})
        else:
            self.settings = content
        return [path]

    def _path_to(self, slot: str, argument: str, append: bool) -> str:
        """The dotted path of an argument of the part in a slot, of several the last; an error where there is none."""
        part, path = self.part(slot), slot
        if isinstance(part, list) and part:
            path, part = f"{slot}[{len(part) - 1}]", part[-1]
        if not part:
            raise RecipeError(f"--{slot}.{argument}: there is no {slot.rpartition('.')[2]}; give --{slot} NAME first")
        kind, _ = read_node(slot, self.slots[slot], part)
        assert kind is not None
        check_argument(slot, kind, argument)
        if append and argument not in given(part):
            raise RecipeError(f"--{slot}.{argument}+= appends to the recipe's list, and it has none; leave out the +")
        return f"{path}.{argument}"

    def _put_typed(self, slot: str, value: Any) -> list[str]:
        """Put what a flag names into a slot; an error if it is one part, and there are several."""
        if isinstance(value, str) and value.lstrip().startswith("["):
            value = read_value(slot, value)
        elif isinstance(self.part(slot), list) and not isinstance(value, list | None) and value != "null":
            text = value if isinstance(value, str) else json.dumps(value)
            raise RecipeError(f"--{slot} is a list: write --{slot} '[{text}]', or --{slot}+={text} to append")
        return self.put(slot, value)

    def _read(self, slot: str, value: Any) -> Any:
        """A part as a class and its arguments; None if the slot is to be empty."""
        kind, settings = read_node(slot, self.slots[slot], value) if value is not None else (None, {})
        return kind and as_part(f"{kind.__module__}.{kind.__qualname__}", settings)

    def _exchanged(self, slot: str, before: Part, part: Part | None) -> Part | None:
        """A part that replaces another, with those of its arguments that mean the same in both."""
        base = self.slots[slot]
        former, _ = read_node(slot, base, before)
        kind, _ = read_node(slot, base, part) if part else (None, {})
        if part is not None and kind is former:  # not an exchange: what is given is laid over the recipe's
            return as_part(part["class_path"], given(before) | given(part))
        self.swapped.add(slot)
        if part is None or kind is None:
            return None
        # The other arguments were chosen for the former class: even one of the same name (a width, a decay) means
        # something else in another. The dimension follows the encoder's, so it is not worth a line.
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
