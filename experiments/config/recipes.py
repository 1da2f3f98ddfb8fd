"""Turns a recipe's text into parts, for the command line and ``Codec.from_recipe`` (without Lightning)."""

import importlib.util
import inspect
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

import codeclab
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.python_file import run_file
from codeclab.experiments.config.files import RECIPES, SCALES, RecipeError, listed, names, read_yaml, recipe_path
from codeclab.experiments.train.parts import import_parts

__all__ = ["RECIPES", "SCALES", "RecipeError", "import_parts", "names", "read_yaml", "recipe_path"]

SECTIONS = ("parts", "flags", "encoders", "unbalanced", "shares")

RENAMED_SCALES = {"demo": "laptop"}
"""Former name of a scale to its name now."""

MOVED = {
    "codeclab.experiments.losses": "codeclab.experiments.train.losses",
    "codeclab.experiments.rate_sampling": "codeclab.experiments.train.rate_sampling",
    "codeclab.experiments.balancer": "codeclab.experiments.train.balancer",
}
"""Modules with parts: their paths when the first runs were named after their settings, and their paths now."""


def moved(path: str, back: bool = False) -> str:
    """A part's present path or, with ``back``, its first path, by which runs are named and compared.

    Args:
        path: path of a class or module; any other name is returned unchanged.
        back: return the first path.
    """
    package, _, name = path.partition(".")
    if package == "codeclab" and name.isidentifier() and isinstance(part := getattr(codeclab, name, None), type):
        path = f"{part.__module__}.{part.__qualname__}"  # the parser's shortest way to it leads over the package's face
    for former, now in MOVED.items():
        old, new = (now, former) if back else (former, now)
        if f"{path}.".startswith(f"{old}."):
            return new + path.removeprefix(old)
    return path


def import_file(path: str) -> None:
    """Import the user's own parts from a Python file.

    Raises:
        RecipeError: the file is missing, is not a Python file, or fails to import.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file() or file.suffix != ".py":
        raise RecipeError(f"--import {path}: not a Python file")
    if getattr(sys.modules.get(file.stem), "__file__", None) == str(file):
        return
    if not file.stem.isidentifier() or _is_taken(file):
        raise RecipeError(
            f"--import {path}: a module cannot be named {file.stem!r}, or one is already; rename the file"
        )
    try:
        run_file(file, file.stem)
    except Exception as error:
        there = moved(error.name or "") if isinstance(error, ImportError) else ""
        hint = f"; it is {there} now" if there and there != getattr(error, "name", None) else ""
        raise RecipeError(f"--import {path}: {type(error).__name__}: {error}{hint}") from error


def _is_taken(file: Path) -> bool:
    """Whether the file has the name of another module that is imported or installed."""
    if file.stem in sys.modules:
        return True
    spec = importlib.util.find_spec(file.stem)
    # The working directory is on the path of `python -m`, and there the file is spec itself.
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != file)


def read_scale(name: str) -> dict[str, Any]:
    """A scale, which ``apply_scale`` applies to a config.

    ``parts`` are sizes per part class, ``flags`` dotted settings, ``encoders`` dotted settings per encoder class,
    ``unbalanced`` dotted settings of recipes without a balancer, whose losses weigh what their gradients do, and
    ``shares`` dotted numbers of batches as shares of ``trainer.max_steps``, ``seeds`` trainings of a table's row.

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


def frame_rate(sample_rate: int, encoder: Namespace) -> float:
    """Latent frames per second, Hz, of a parsed encoder; 0, which no quantizer accepts, where it takes no strides."""
    strides = encoder.get("init_args", Namespace()).get("strides")
    return sample_rate / math.prod(strides) if strides else 0.0


def link_parts(parser: ArgumentParser, prefix: str = "") -> None:
    """Give the quantizer and the decoder the encoder's latent dimension, and the quantizer the frame rate."""
    for part in ("quantizer", "decoder"):
        parser.link_arguments(
            f"{prefix}encoder",
            f"{prefix}{part}.init_args.dimension",
            compute_fn=lambda encoder: encoder.dimension,
            apply_on="instantiate",
        )
    sources = (f"{prefix}sample_rate", f"{prefix}encoder")
    parser.link_arguments(sources, f"{prefix}quantizer.init_args.frame_rate", compute_fn=frame_rate)


def walk_parts(node: Any, path: str = "") -> Iterator[tuple[str, Namespace]]:
    """Every part of a parsed config, with its dotted path as a flag would write it, places in lists numbered."""
    if isinstance(node, Namespace):
        if "class_path" in node:
            yield path, node
        for key, child in vars(node).items():
            inner = path if key == "init_args" else f"{path}.{key}" if path else key
            yield from walk_parts(child, inner)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from walk_parts(child, f"{path}[{index}]")


def apply_scale(config: Namespace, scale: dict[str, Any], explicit: set[str]) -> None:
    """Apply a scale to a parsed config, except for settings given by flags.

    Args:
        config: the parsed config, changed in place.
        scale: scale, as ``read_scale`` gives it; of its ``flags``, those whose setting the config has.
        explicit: dotted paths set by flags.
    """
    for path, part in walk_parts(config):
        for argument, value in scale["parts"].get(part.class_path.rsplit(".", 1)[-1], {}).items():
            if f"{path}.{argument}" not in explicit:
                part.init_args[argument] = value
    encoder = config.model.encoder.class_path.rsplit(".", 1)[-1]
    flags = scale["flags"] | scale["encoders"].get(encoder, {})
    # A balancer that a flag took away is an experiment on it: its weights stay as they are.
    if "balancer" in config.model and config.model.balancer is None and "model.balancer" not in explicit:
        flags |= scale["unbalanced"]
    _set_flags(config, flags, explicit)
    if "trainer.max_steps" in config:
        batches = {key: int(share * config.trainer.max_steps) for key, share in scale["shares"].items()}
        _set_flags(config, batches, explicit)


def _set_flags(config: Namespace, flags: dict[str, Any], explicit: set[str]) -> None:
    for key, value in flags.items():
        owners = {key.rsplit(".", depth)[0] for depth in range(1, key.count(".") + 1)}
        if key in config and not ({key} | owners) & explicit:
            config[key] = value


def codec_from_recipe(name: str, scale: str | None = None) -> Codec:
    """An untrained codec built from a recipe's ``model`` section.

    Args:
        name: a built-in recipe's name or a path to a YAML.
        scale: ``laptop``, ``mini``, ``lab`` or ``paper``; None leaves the recipe's own sizes (the paper's).

    Raises:
        RecipeError: no such recipe or scale, or a recipe whose parts cannot work together.
    """
    import_parts()
    content = read_yaml(recipe_path(name))
    for file in content.get("import") or []:
        import_file(file)
    model = content.get("model")
    if not isinstance(model, dict):
        raise RecipeError(f"recipe {name!r} has no 'model' section")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Codec, "model")
    link_parts(parser, "model.")
    wanted = set(inspect.signature(Codec).parameters)
    config = parser.parse_object({"model": {key: value for key, value in model.items() if key in wanted}})
    if scale:
        apply_scale(config, read_scale(scale), set())
        config = parser.parse_object(config)
    return parser.instantiate(config).model
