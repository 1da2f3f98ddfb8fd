"""From what the user typed to a tree of settings and the flags that the parser reads over it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any

from jsonargparse import Namespace

from codeclab.experiments.config.files import config_path
from codeclab.experiments.config.hints import alternatives, hints_of
from codeclab.experiments.config.own_code import bring, import_from
from codeclab.experiments.config.parts import all_slots, find_part, read_value, refuse_linked
from codeclab.experiments.config.recipes import (
    RECIPES,
    RecipeError,
    import_parts,
    moved,
    names,
    read_scale,
    read_yaml,
)
from codeclab.experiments.config.tree import Tree
from codeclab.experiments.data.named import without_synthetic
from codeclab.quantizers.base import Quantizer


def leave_out_rates(config: Namespace, swapped: set[str], explicit: set[str]) -> list[str]:
    """Take the recipe's choice of bitrates out of a config in which the quantizer swapped in learns its one bitrate.

    Args:
        config: the parsed config, changed in place.
        swapped: slots in which another part stands than the recipe's.
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
            named = value.class_path.rpartition(".")[2] if isinstance(value, Namespace) else value
            said.append(f"quantizer is {part.__name__}, which learns its one bitrate: {key} {named} is left out")
    return said


@dataclass
class Request:
    """What the command line asks for.

    Attributes:
        settings: the recipes' settings as one tree, their parts exchanged.
        flags: those for the parser, which reads them over the tree: name and value.
        recipe: stem of the last config given, for the run's name.
        folder: the run's folder, where the config is a run's.
        scale: name of the scale, or None.
        label: what the run's name begins with, where it is not the recipe's.
        steps: batches that the recipe, or the scale over it, trains, whatever flags say; None where neither says.
        dry_run: print the plan and stop.
        explicit: dotted paths set by a flag, positions in lists numbered; a scale does not touch them.
        swapped: slots in which a flag put another part than the recipe's.
        dropped: lines that say which of a recipe's arguments a swapped part does not take over.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    flags: list[tuple[str, str]] = field(default_factory=list)
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
            raise RecipeError(f"{word!r} is not a flag: flags begin with --, as in --config encodec_24khz")
        flag, equals, value = word[2:].partition("=")
        if not equals:
            value = next(words, "")
        if not value or (not equals and value.startswith("--")):
            raise RecipeError(f"--{flag} needs a value, as in --{flag} VALUE")
        found.append((flag, value))
    return found


def read_request(argv: list[str]) -> Request:
    """Lay recipes and swaps over one another, and check parts and their arguments; ``sys.argv`` is not read.

    Raises:
        RecipeError: unknown recipe, scale, part or argument, with those that exist.
    """
    request = Request()
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
            path = config_path(value)
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
    tree = Tree(all_slots())
    for config in configs:
        tree.lay_over(config)
    # A part's own arguments are read by the part that is there in the end, wherever in the line it is named.
    flags.sort(key=lambda pair: _plain(pair[0]) not in tree.slots)
    for flag, value in flags:
        _read_flag(request, tree, flag, value)
    request.settings, request.swapped, request.dropped = tree.settings, tree.swapped, tree.dropped
    request.settings["import"] = imports
    return request


def _read_flag(request: Request, tree: Tree, flag: str, value: str) -> None:
    """Take one flag: a part, an argument of a part, or any other setting, which is the parser's."""
    plain = _plain(flag)
    slot, _, argument = plain.rpartition(".")
    refuse_linked(plain)
    if plain in tree.slots:
        if flag.endswith("+"):
            request.explicit.update(tree.append(plain, value))
            return
        is_list = value.lstrip().startswith("[")
        if isinstance(tree.part(plain), list) and not is_list and value != "null":
            raise RecipeError(f"--{plain} is a list: write --{plain} '[{value}]', or --{plain}+={value} to append")
        request.explicit.update([plain, *tree.put(plain, read_value(plain, value) if is_list else value)])
    elif slot in tree.slots and tree.part(slot):
        request.explicit.add(tree.set_argument(slot, argument, value))
    elif slot in optional_groups() and tree.set_in_group(slot, argument, value):
        request.explicit.add(plain)
    else:
        request.explicit.add(plain)
        request.flags.append((flag, value))


@cache
def optional_groups() -> frozenset[str]:
    """Groups of settings that may be null, such as the discriminators' optimizer.

    The parser reads no flag over one that the recipe has.
    """
    from codeclab.experiments.train.module import CodecExperiment

    kinds = {name: alternatives(hint) for name, hint in hints_of(CodecExperiment, "model")}
    return frozenset(
        name for name, hints in kinds.items() if NoneType in hints and any(is_dataclass(kind) for kind in hints)
    )


def _usual_steps(configs: list[dict[str, Any]], scale: str | None) -> int | None:
    trainers = [config.get("trainer") for config in configs]
    found = [trainer["max_steps"] for trainer in trainers if isinstance(trainer, dict) and "max_steps" in trainer]
    found += [read_scale(scale)["flags"].get("trainer.max_steps")] if scale else []
    return next((steps for steps in reversed(found) if isinstance(steps, int)), None)


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
