"""From what the user typed to what the parser reads: short forms, and what each swap takes over and leaves out."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from codeclab.experiments.config.own_code import bring, import_from
from codeclab.experiments.config.parts import (
    SHARED,
    all_slots,
    arguments,
    check_argument,
    find_part,
    read_node,
    read_value,
    refuse_linked,
)
from codeclab.experiments.config.recipes import (
    RECIPES,
    RecipeError,
    import_parts,
    moved,
    names,
    read_scale,
    read_yaml,
    recipe_path,
)
from codeclab.experiments.data.named import without_synthetic
from codeclab.quantizers.base import Quantizer


def leave_out_rates(config: Namespace, swapped: set[str], explicit: set[str]) -> list[str]:
    """Take the recipe's choice of bitrates out of a config in which the quantizer swapped in learns its one bitrate.

    Args:
        config: the parsed config, changed in place.
        swapped: places in which another part stands than the recipe's.
        explicit: dotted paths set by flags, which stay as they are.

    Returns:
        a line on each setting left out.
    """
    model = config.model
    if "model.quantizer" not in swapped:
        return []
    part = find_part("model.quantizer", Quantizer, model.quantizer.class_path)
    if part is None or not issubclass(part, Quantizer) or not part.learns_rate:
        return []
    spoken = explicit | swapped
    said = []
    for key, none in {
        "bitrates": None,
        "bitrate": None,
        "ensemble_per_bandwidth": False,
        "rate_sampling": None,
    }.items():
        value = model[key]
        if value != none and f"model.{key}" not in spoken:
            model[key] = none
            shown = value.class_path.rpartition(".")[2] if isinstance(value, Namespace) else value
            said.append(f"quantizer is {part.__name__}, which learns its one bitrate: {key} {shown} is left out")
    return said


Part = tuple[type | None, dict[str, Any]]
"""A part's class and the arguments a recipe gives it."""


@dataclass
class Request:
    """What the command line asks for.

    Attributes:
        argv: arguments for the parser: configs as their text, short names, one word each.
        recipe: stem of the last config given, for the run's name.
        folder: the run's folder, where the config is a run's.
        scale: name of the scale, or None.
        label: what the run's name begins with, where it is not the recipe's.
        steps: batches that the recipe, or the scale over it, trains, whatever flags say; None where neither says.
        dry_run: print the plan and stop.
        explicit: dotted paths set by a flag, places in lists numbered; a scale does not touch them.
        swapped: places in which a flag put another part than the recipe's.
        dropped: lines that say which of a recipe's arguments a swapped part does not take over.
    """

    argv: list[str]
    recipe: str = "run"
    folder: Path | None = None
    scale: str | None = None
    label: str | None = None
    steps: int | None = None
    dry_run: bool = False
    explicit: set[str] = field(default_factory=set)
    swapped: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)


def pairs(argv: Iterable[str]) -> list[tuple[str, str]]:
    """``--flag value`` and ``--flag=value`` as (flag without dashes, value).

    Raises:
        RecipeError: a word that belongs to no flag, or a flag without its value.
    """
    found: list[tuple[str, str]] = []
    words = iter(argv)
    for word in words:
        if not word.startswith("--"):
            raise RecipeError(f"{word!r} is no flag; flags begin with --, as in --config encodec_24khz")
        flag, equals, value = word[2:].partition("=")
        if not equals:
            value = next(words, "")
        if not value or (not equals and value.startswith("--")):
            raise RecipeError(f"--{flag} wants a value")
        found.append((flag, value))
    return found


def read_request(argv: list[str]) -> Request:
    """Rewrite short forms and check parts and their arguments, touching neither ``argv`` nor ``sys.argv``.

    Raises:
        RecipeError: unknown recipe, scale, part or argument, with those that exist.
    """
    request = Request([])
    import_parts()
    words = [word for word in argv if word not in ("--dry-run", "--compile")]
    request.dry_run = "--dry-run" in argv
    words += ["--model.compile", "true"] if "--compile" in argv else []
    flags: list[tuple[str, str]] = []
    configs: list[dict[str, Any]] = []
    imports: list[str] = []
    brought: set[str] = set()
    for flag, value in pairs(words):
        if flag == "scale":
            read_scale(value)
            request.scale = value
        elif flag == "config":
            path = Path(value) / "config.yaml" if Path(value).is_dir() else recipe_path(value)
            request.folder = path.parent if path.name == "config.yaml" else None
            request.recipe = path.parent.name if request.folder else path.stem
            configs.append(at_present(read_yaml(path)))
            named = [_beside(path, file) for file in configs[-1].pop("import", None) or []]
            imports += named
            if request.folder and import_from(request.folder):
                brought.update(named)  # the run's own copies
        elif flag == "import":
            imports.append(value)
        else:
            flags.append(("data.folder", without_synthetic(value) or "null") if flag == "data" else (flag, value))
    given = {flag for flag, _ in flags}
    if not configs:
        hint = " (--init gives weights, the recipe the parts they go into)" if "init" in given else ""
        raise RecipeError(f"which recipe? Give --config NAME{hint}, one of: {', '.join(names(RECIPES))}")
    request.steps = _usual_steps(configs, request.scale)
    if given & {"init", "name"}:
        _as_recipes(request, configs, "init" in given)
    imports = list(dict.fromkeys(imports))
    for file in imports:
        if file not in brought:
            bring(file)
    assembly = _Assembly(request, all_slots())
    for config in configs:
        assembly.add_config(copy.deepcopy(config))
    # A part's own arguments are read by the part that is there in the end, wherever in the line it is named.
    flags.sort(key=lambda pair: _plain(pair[0]) not in assembly.slots)
    for flag, value in flags:
        assembly.add_flag(flag, value)
    request.argv += [f"--config={yaml.safe_dump(config, sort_keys=False)}" for config in assembly.configs]
    request.argv += [f"--{flag}={value}" for flag, value in flags]
    request.argv += [f"--import+={file}" for file in imports]
    return request


def _usual_steps(configs: list[dict[str, Any]], scale: str | None) -> int | None:
    trainers = [config.get("trainer") for config in configs]
    found = [trainer["max_steps"] for trainer in trainers if isinstance(trainer, dict) and "max_steps" in trainer]
    found += [read_scale(scale)["flags"].get("trainer.max_steps")] if scale else []
    return next((int(steps) for steps in reversed(found) if steps is not None), None)


def _as_recipes(request: Request, configs: list[dict[str, Any]], starts: bool) -> None:
    """Make a run's config, given for a run of another name or start, a recipe: it names no folder of its own."""
    request.folder = None
    for config in configs:
        for own in ("name", "made_for"):
            config.pop(own, None)
        if starts:
            config.pop("init_identity", None)


def at_present(config: Any) -> Any:
    """A config with its parts where they are now: that of an older run names where they were."""
    if isinstance(config, dict):
        return {k: moved(v) if k == "class_path" and isinstance(v, str) else at_present(v) for k, v in config.items()}
    return [at_present(item) for item in config] if isinstance(config, list) else config


def _beside(config: Path, file: str) -> str:
    """A file named in a config: relative to the config where it is there, else to the working directory."""
    return str(config.parent / file) if (config.parent / file).is_file() else file


def _plain(flag: str) -> str:
    return flag.removesuffix("+").replace(".init_args", "").removesuffix(".class_path")


class _Assembly:
    """Follows which part stands where, as configs and flags are read in their order."""

    def __init__(self, request: Request, slots: dict[str, type]) -> None:
        self.request = request
        self.slots = slots
        self.configs: list[dict[str, Any]] = []
        self.parts: dict[str, Part | list[Part]] = {}

    def add_config(self, config: dict[str, Any]) -> None:
        """Take the parts of a recipe; those of an earlier one that it replaces lose what it does not share."""
        for slot, base in self.slots.items():
            section, _, name = slot.partition(".")
            part = (config.get(section) or {}).get(name)
            if isinstance(part, list):
                self.parts[slot] = [read_node(slot, base, node) for node in part]
            elif part is not None:
                self._put(slot, read_node(slot, base, part))
        for section in ("model", "data"):
            for name in config.get(section) or {}:
                refuse_linked(f"{section}.{name}")
        self.configs.append(config)

    def add_flag(self, flag: str, value: str) -> None:
        """Take one flag: a part, an argument of a part, or any other setting."""
        plain = _plain(flag)
        slot, _, argument = plain.rpartition(".")
        refuse_linked(plain)
        if plain in self.slots:
            self._add_part(plain, flag.endswith("+"), value)
        elif slot in self.slots and argument != "help":
            place, part = self._last(slot)
            if part is not None:
                check_argument(slot, part, argument)
            self.request.explicit.add(f"{place}.{argument}")
        else:
            self.request.explicit.add(plain)

    def _add_part(self, slot: str, appends: bool, value: str) -> None:
        base = self.slots[slot]
        known = self.parts.get(slot)
        if appends:
            listed = known if isinstance(known, list) else []
            part = read_node(slot, base, value)
            self.parts[slot] = [*listed, part]
            self._speak(f"{slot}[{len(listed)}]", part)
        elif value.lstrip().startswith("["):
            listed = [read_node(slot, base, node) for node in read_value(slot, value)]
            self.parts[slot] = listed
            for index, part in enumerate(listed):
                self._speak(f"{slot}[{index}]", part)
        elif isinstance(known, list) and value != "null":
            raise RecipeError(f"--{slot} is a list: write --{slot} '[{value}]', or --{slot}+={value} to append")
        else:
            part = read_node(slot, base, value)
            self._put(slot, part)
            self._speak(slot, part)

    def _speak(self, place: str, part: Part) -> None:
        self.request.explicit |= {f"{place}.{argument}" for argument in part[1]}

    def _last(self, slot: str) -> tuple[str, type | None]:
        """Where a flag for an argument of a slot goes, a list's last part, and the class that stands there."""
        known = self.parts.get(slot)
        if isinstance(known, list):
            return f"{slot}[{len(known) - 1}]", known[-1][0] if known else None
        return slot, known[0] if known else None

    def _put(self, slot: str, part: Part) -> None:
        before = self.parts.get(slot)
        self.parts[slot] = part
        if not isinstance(before, tuple) or before[0] in (None, part[0]):
            return
        self.request.swapped.add(slot)
        lost = self._prune(slot, part[0])
        if lost and part[0] is not None:
            assert before[0] is not None
            self.request.dropped.append(
                f"{slot.rpartition('.')[2]} is {part[0].__name__}: {', '.join(lost)} of the recipe's "
                f"{before[0].__name__} {'is' if len(lost) == 1 else 'are'} left out"
            )

    def _prune(self, slot: str, part: type | None) -> list[str]:
        """Leave of a replaced part's arguments, in the configs read so far, those that mean the same in the new one."""
        section, _, name = slot.partition(".")
        keep = set(SHARED) & set(arguments(part)) if part is not None else set()
        lost: list[str] = []
        for config in self.configs:
            node = (config.get(section) or {}).get(name)
            if isinstance(node, dict) and node.get("init_args"):
                settings = node["init_args"]
                lost += [key for key in settings if key not in keep and key != "dimension"]
                node["init_args"] = {key: value for key, value in settings.items() if key in keep}
        return list(dict.fromkeys(lost))
