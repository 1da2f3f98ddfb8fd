"""From a recipe's text to parts: shared by the trainer's command line and ``Codec.from_recipe`` (no Lightning here)."""

import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from codeclab.codecs.codec import Codec

RECIPES = Path(__file__).parent / "recipes"
SCALES = Path(__file__).parent / "scales"
PART_PACKAGES = ("codeclab.codecs", "codeclab.quantizers", "codeclab.discriminators", "codeclab.experiments.losses")
PART_MODULES = ("codeclab.experiments.rate_sampling", "codeclab.experiments.balancer")


class RecipeError(ValueError):
    """A recipe, scale or flag that cannot work; the message says what would."""


def import_parts() -> None:
    """Import every module that defines parts, so that short class names resolve."""
    for package in PART_PACKAGES:
        for module in pkgutil.iter_modules(import_module(package).__path__):
            import_module(f"{package}.{module.name}")
    for module_name in PART_MODULES:
        import_module(module_name)


def import_file(path: str) -> None:
    """Import the user's own parts from a Python file.

    Raises:
        RecipeError: the file is missing, is no Python file, or fails to import.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file() or file.suffix != ".py":
        raise RecipeError(f"--import {path}: not a Python file")
    if file.stem in sys.modules:
        known = getattr(sys.modules[file.stem], "__file__", None)
        if known == str(file):
            return
        raise RecipeError(f"--import {path}: a module named {file.stem!r} exists already; rename the file")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise RecipeError(f"--import {path}: Python cannot load it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[file.stem]
        raise RecipeError(f"--import {path}: {type(error).__name__}: {error}") from error


def names(folder: Path) -> list[str]:
    """Names of the YAML files of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """The YAML file of a recipe given by name or by path.

    Raises:
        RecipeError: there is no such recipe; the message lists those there are.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        if not Path(name).is_file():
            raise RecipeError(f"no file {name}; the built-in recipes are: {', '.join(names(RECIPES))}")
        return Path(name)
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise RecipeError(f"no recipe {name!r}; there are: {', '.join(names(RECIPES))} (or give a path to a .yaml file)")
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        RecipeError: it is not YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} should hold a mapping, like the built-in recipes do")
    return content


def read_scale(name: str) -> dict[str, Any]:
    """A scale: ``parts`` (sizes per part class) and ``flags`` (dotted settings).

    Raises:
        RecipeError: there is no such scale; the message lists those there are.
    """
    if name not in names(SCALES):
        raise RecipeError(f"no scale {name!r}; there are: {', '.join(names(SCALES))}")
    content = read_yaml(SCALES / f"{name}.yaml")
    return {"parts": content.get("parts") or {}, "flags": content.get("flags") or {}}


def link_dimension(parser: ArgumentParser, prefix: str = "") -> None:
    """Give the quantizer and the decoder the encoder's latent dimension."""
    for part in ("quantizer", "decoder"):
        parser.link_arguments(
            f"{prefix}encoder",
            f"{prefix}{part}.init_args.dimension",
            compute_fn=lambda encoder: encoder.dimension,
            apply_on="instantiate",
        )


def walk_parts(node: Any, path: str = "") -> Iterator[tuple[str, Namespace]]:
    """Every ``class_path`` node of a parsed config, with its dotted path as a flag would write it."""
    if isinstance(node, Namespace):
        if "class_path" in node:
            yield path, node
        for key, child in vars(node).items():
            inner = path if key == "init_args" else f"{path}.{key}" if path else key
            yield from walk_parts(child, inner)
    elif isinstance(node, list):
        for child in node:
            yield from walk_parts(child, path)


def apply_scale(config: Namespace, sizes: dict[str, dict[str, Any]], explicit: set[str]) -> None:
    """Give each part of a parsed config its scale's sizes, except where a flag (a dotted path) spoke."""
    for path, part in walk_parts(config):
        for argument, value in sizes.get(part.class_path.rsplit(".", 1)[-1], {}).items():
            if f"{path}.{argument}" not in explicit:
                part.init_args[argument] = value


def codec_from_recipe(name: str, scale: str | None = None) -> Codec:
    """An untrained codec built from a recipe's ``model`` section.

    Args:
        name: a built-in recipe's name or a path to a YAML.
        scale: ``demo``, ``mini``, ``lab`` or ``paper``; None leaves the recipe's own sizes (the paper's).

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
    parser.add_class_arguments(Codec, None)
    link_dimension(parser)
    wanted = set(inspect.signature(Codec).parameters)
    config = parser.parse_object({key: value for key, value in model.items() if key in wanted})
    if scale:
        overlay = read_scale(scale)
        apply_scale(config, overlay["parts"], set())
        for key, value in overlay["flags"].items():
            if key.removeprefix("model.") in wanted:
                config[key.removeprefix("model.")] = value
        config = parser.parse_object(config)
    return Codec(**vars(parser.instantiate(config)))
