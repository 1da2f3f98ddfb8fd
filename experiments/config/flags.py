"""Resolution of what the user typed to one tree of settings, which the parser checks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import RECIPES, RecipeError, config_path, names, read_yaml
from codeclab.experiments.config.moved import moved
from codeclab.experiments.config.own_code import bring, import_from
from codeclab.experiments.config.parts import all_slots, read_node
from codeclab.experiments.config.scales import apply_scale, read_scale
from codeclab.experiments.config.tree import Tree
from codeclab.experiments.config.words import Words
from codeclab.experiments.data.named import without_synthetic
from codeclab.quantizers.base import Quantizer

NO_CHOICE: dict[str, Any] = {"bitrates": None, "bitrate": None, "ensemble_per_bandwidth": False, "rate_sampling": None}
"""A model's settings that choose among bitrates, as they are where there is no choice."""


def leave_out_rates(tree: Tree, explicit: set[str]) -> list[str]:
    """Take the recipe's choice of bitrates out of a tree in which the quantizer swapped in learns its one bitrate.

    What flags set, ``explicit``, stays as it is. Returns a line on each setting left out.
    """
    slot = "model.quantizer"
    if slot not in tree.swapped or not tree.part(slot):
        return []
    part, _ = read_node(slot, Quantizer, tree.part(slot))
    if part is None or not issubclass(part, Quantizer) or not part.learns_rate:
        return []
    model, spoken, lines = tree.settings["model"], explicit | tree.swapped, []
    for key, none in NO_CHOICE.items():
        value = model.get(key, none)
        if value != none and f"model.{key}" not in spoken:
            model[key] = none
            named = value["class_path"].rpartition(".")[2] if isinstance(value, dict) else value
            lines.append(f"quantizer is {part.__name__}, which learns its one bitrate: {key} {named} is left out")
    return lines


@dataclass
class Request:
    """What the command line requests.

    Attributes:
        settings: settings as one tree: defaults < recipes < scale < flags.
        recipe: stem of the last config given, for the run's name.
        folder: the run's folder, where the config is a run's.
        scale: name of the scale, or None.
        label: beginning of the run's name, where it is not the recipe's.
        steps: batches that the recipe, or the scale over it, trains, whatever flags say; None where neither says.
        dry_run: whether to print the plan and stop.
        explicit: dotted paths that a flag sets, positions in lists numbered; a scale does not touch them.
        swapped: slots in which a flag put another part than the recipe's.
        dropped: lines on the recipe's settings that do not apply to a part swapped in.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    recipe: str = "run"
    folder: Path | None = None
    scale: str | None = None
    label: str | None = None
    steps: int | None = None
    dry_run: bool = False
    explicit: set[str] = field(default_factory=set)
    swapped: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)


def read_request(words: Words) -> Request:
    """Lay recipes, the scale, swaps and other settings over one another, and check parts and their arguments.

    Raises:
        RecipeError: unknown recipe, scale, part or argument, with those that exist.
    """
    request = Request(dry_run=words.dry_run or words.print_config, scale=words.scale)
    if words.scale:
        read_scale(words.scale)
    configs: list[dict[str, Any]] = []
    imports: list[str] = []
    brought: set[str] = set()
    for name in words.configs:
        path = config_path(name)
        request.folder = path.parent if path.name == "config.yaml" else None
        request.recipe = path.parent.name if request.folder else path.stem
        configs.append(at_present(read_yaml(path)))
        named = [_beside(path, file) for file in configs[-1].pop("import", None) or []]
        imports += named
        if request.folder and import_from(request.folder):
            brought.update(named)  # the run's own copies
    settings = [*words.settings, *([("model.compile", "true")] if words.compile else [])]
    given = {name for name, _ in settings}
    if not configs:
        hint = " (--init supplies only weights; the recipe defines the parts)" if "init" in given else ""
        raise RecipeError(f"no recipe was given; add --config NAME{hint}, one of: {', '.join(names(RECIPES))}")
    request.steps = _usual_steps(configs, words.scale)
    if given & {"init", "name"}:
        _as_recipes(request, configs, "init" in given)
    imports = list(dict.fromkeys([*imports, *words.imports]))
    for file in imports:
        if file not in brought:
            bring(file)
    tree = Tree(all_slots())
    for config in configs:
        tree.lay_over(config)
    tree.settings["import"] = imports
    own_optimizer = (tree.settings.get("model") or {}).get("discriminator_optimizer")
    for name, value in _in_order(settings, tree.slots):
        request.explicit.update(tree.set(plain(name), corpus_or_text(name, value), append=name.endswith("+")))
    if words.scale:
        tree.settings = apply_scale(tree.settings, read_scale(words.scale), request.explicit)
    if own_optimizer is None and "model.discriminator_optimizer" not in request.explicit:
        _complete_optimizer(tree.settings.get("model") or {})
    dropped = [*tree.dropped, *leave_out_rates(tree, request.explicit)]
    request.settings, request.swapped, request.dropped = tree.settings, tree.swapped, dropped
    return request


def _in_order(settings: Sequence[tuple[str, Any]], slots: Collection[str]) -> list[tuple[str, Any]]:
    """Settings in the order in which they are set: parts, then all others.

    A part's own arguments are thus read by the part that is there in the end, wherever in the line it is named. Those
    between two parts that are appended to one list belong to the first of these.
    """
    names = [plain(name) for name, _ in settings]
    appended: dict[str, list[int]] = {}
    for index, (name, _) in enumerate(settings):
        if names[index] in slots:
            appended[names[index]] = [*appended.get(names[index], []), index] if name.endswith("+") else []

    def waits(index: int) -> bool:
        positions = appended.get(names[index].rpartition(".")[0], [])
        return names[index] not in slots and not (positions and positions[0] < index < positions[-1])

    return [settings[index] for index in sorted(range(len(settings)), key=waits)]


def _complete_optimizer(model: dict[str, Any]) -> None:
    """Take what a flag did not set of the discriminators' optimizer from the generator's, which they would share."""
    if own := model.get("discriminator_optimizer"):
        model["discriminator_optimizer"] = {**(model.get("optimizer") or {}), **own}


def _usual_steps(configs: list[dict[str, Any]], scale: str | None) -> int | None:
    trainers = [config.get("trainer") for config in configs]
    max_steps = [trainer["max_steps"] for trainer in trainers if isinstance(trainer, dict) and "max_steps" in trainer]
    max_steps += [read_scale(scale)["flags"].get("trainer.max_steps")] if scale else []
    return next((steps for steps in reversed(max_steps) if isinstance(steps, int)), None)


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


def plain(name: str) -> str:
    """A setting's dotted name as the tree has it: without the ``+`` of a list, and a part's arguments next to it."""
    return name.removesuffix("+").replace(".init_args", "").removesuffix(".class_path")


def corpus_or_text(name: str, value: Any) -> Any:
    """A setting's value as it was given, or, of a corpus named by its word, as settings keep it."""
    return without_synthetic(value) if name == "data.folder" else value
