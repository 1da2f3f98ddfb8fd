"""From what the user typed to what the parser reads: short forms, and mistakes answered in the project's words."""

import difflib
import inspect
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeclab.experiments.assemble import RECIPES, RecipeError, import_file, import_parts, names, read_yaml, recipe_path

LINKED = {"quantizer": "encoder", "decoder": "encoder"}
"""Parts whose ``dimension`` is taken from another part when both are built."""


@dataclass
class Request:
    """What the command line asks for.

    Attributes:
        argv: arguments for the parser, recipes as paths.
        recipe: stem of the last config given, for the run's name.
        folder: the run's folder, where the config is a run's.
        scale: name of the scale, or None.
        label: what the run's name begins with, where it is not the recipe's.
        dry_run: print the plan and stop.
        explicit: dotted paths set by a flag; a scale does not touch them.
        dropped: lines that say which of a recipe's arguments a swapped part does not take.
    """

    argv: list[str]
    recipe: str = "run"
    folder: Path | None = None
    scale: str | None = None
    label: str | None = None
    dry_run: bool = False
    explicit: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)


def subclasses(base: type) -> dict[str, type]:
    """Every concrete class derived from ``base`` that has been imported, by its short name."""
    found: dict[str, type] = {}
    for child in base.__subclasses__():
        if not inspect.isabstract(child) and not child.__name__.startswith("_"):
            found[child.__name__] = child
        found |= subclasses(child)
    return dict(sorted(found.items()))


def slots(owner: type) -> dict[str, type]:
    """Constructor arguments of ``owner`` that hold parts (or lists of parts), with the part's base class."""
    hints = typing.get_type_hints(owner.__init__)
    found = {}
    for name, hint in hints.items():
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        for option in options:
            inner = typing.get_args(option)[0] if typing.get_origin(option) is list else option
            if isinstance(inner, type) and inner.__module__.startswith("codeclab.") and (subclasses(inner)):
                found[name] = inner
    return found


def all_slots() -> dict[str, type]:
    """Every place a part can stand in, as a flag writes it (``model.quantizer``), with the part's base class."""
    from codeclab.experiments.data.module import AudioData
    from codeclab.experiments.experiment import CodecExperiment

    found = {f"model.{name}": base for name, base in slots(CodecExperiment).items()}
    return found | {f"data.{name}": base for name, base in slots(AudioData).items()}


def pairs(argv: Iterable[str]) -> list[tuple[str, str | None]]:
    """``--flag value`` and ``--flag=value`` as (flag without dashes, value); other words as (word, None)."""
    found: list[tuple[str, str | None]] = []
    words = iter(argv)
    for word in words:
        if not word.startswith("--"):
            found.append((word, None))
            continue
        flag, equals, value = word[2:].partition("=")
        if flag.endswith("+") and equals:
            flag, equals = flag[:-1] + "+", "="
        found.append((flag, value if equals else next(words, "")))
    return found


def read_request(argv: list[str]) -> Request:
    """Rewrite short forms and check parts and their arguments, touching neither ``argv`` nor ``sys.argv``.

    Raises:
        RecipeError: unknown recipe, scale, part or argument, with those that exist.
    """
    request = Request([])
    import_parts()
    flags, configs = [], []
    words = [word for word in argv if word not in ("--dry-run", "--compile")]
    request.dry_run = "--dry-run" in argv
    if "--compile" in argv:
        words += ["--model.compile", "true"]
    for flag, value in pairs(words):
        if value is None:
            raise RecipeError(f"{flag!r} is no flag; flags begin with --, as in --config encodec_24khz")
        if value == "":
            raise RecipeError(f"--{flag} wants a value")
        if flag == "scale":
            request.scale = value
        elif flag in ("config", "c"):
            path = Path(value) / "config.yaml" if Path(value).is_dir() else recipe_path(value)
            request.folder = path.parent if path.name == "config.yaml" else None
            request.recipe = path.parent.name if request.folder else path.stem
            configs.append(read_yaml(path))
            request.argv += ["--config", str(path)]
        elif flag == "import":
            import_file(value)
        else:
            flags.append(("data.folder" if flag == "data" else flag, value))
    for config in configs:
        for file in config.get("import") or []:
            import_file(file)
    if not configs:
        raise RecipeError(f"which recipe? Give --config NAME, one of: {', '.join(names(RECIPES))}")
    _check_parts(request, configs, flags)
    request.argv += [f"--{flag}={value}" for flag, value in flags]
    return request


def _plain(flag: str) -> str:
    return flag.removesuffix("+").replace(".init_args", "").removesuffix(".class_path")


def _class_of(slot: str, base: type, name: str) -> type | None:
    """The class that a short name means; None for a dotted path, which is left to the parser."""
    if "." in name or name.lstrip().startswith(("{", "[")) or name in ("null", "None"):
        return None
    known = subclasses(base)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise RecipeError(f"no {slot.rpartition('.')[2]} {name!r}{hint}; there are: {', '.join(known)}")
    return known[name]


def _arguments(part: type) -> list[str]:
    return [name for name in inspect.signature(part).parameters if name != "self"]


def _check_argument(slot: str, part: type, argument: str) -> None:
    takes = _arguments(part)
    role = slot.rpartition(".")[2]
    if argument == "dimension" and role in LINKED:
        source = LINKED[role]
        raise RecipeError(f"--{slot}.dimension follows the {source}'s; set --model.{source}.dimension")
    if argument not in takes:
        close = difflib.get_close_matches(argument, takes, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        listed = ", ".join(takes) or "none"
        raise RecipeError(f"{part.__name__} takes no argument {argument!r}{hint}; it takes: {listed}")


def _check_parts(request: Request, configs: list[dict[str, Any]], flags: list[tuple[str, str]]) -> None:
    known_slots = all_slots()
    in_force: dict[str, tuple[type | None, dict[str, Any]]] = {}
    for config in configs:
        for slot, base in known_slots.items():
            section, _, name = slot.partition(".")
            node = (config.get(section) or {}).get(name)
            for part in node if isinstance(node, list) else [node]:
                if isinstance(part, str):
                    part = {"class_path": part}
                if isinstance(part, dict) and "class_path" in part:
                    in_force[slot] = _check_node(slot, base, part)
    for flag, value in flags:
        plain = _plain(flag)
        request.explicit.add(plain)
        slot, _, argument = plain.rpartition(".")
        if plain in known_slots:
            swapped = _class_of(plain, known_slots[plain], value)
            before, settings = in_force.get(plain, (None, {}))
            if swapped is not None and before not in (None, swapped) and not flag.endswith("+"):
                lost = [key for key in settings if key not in _arguments(swapped) and key != "dimension"]
                if lost:
                    request.dropped.append(
                        f"{swapped.__name__} does not take {', '.join(lost)}, set by the recipe for "
                        f"{getattr(before, '__name__', before)}: left out"
                    )
            in_force[plain] = (swapped, settings)
        elif slot in known_slots and argument != "help":
            part_class = in_force.get(slot, (None, {}))[0]
            if part_class is not None:
                _check_argument(slot, part_class, argument)


def _check_node(slot: str, base: type, part: dict[str, Any]) -> tuple[type | None, dict[str, Any]]:
    settings = part.get("init_args") or {}
    name = str(part["class_path"])
    part_class = _class_of(slot, base, name.rsplit(".", 1)[-1] if name.startswith("codeclab.") else name)
    if part_class is not None:
        for argument in settings:
            _check_argument(slot, part_class, argument)
    return part_class, settings
