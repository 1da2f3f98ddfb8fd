"""Recipes, scales and tables by name; read without torch, so that lists are printed at once."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from codeclab.codecs.io.missing import MOST_NAMES, located
from codeclab.codecs.wording import did_you_mean

RECIPES = Path(__file__).parents[1] / "recipes"
SCALES = Path(__file__).parents[1] / "scales"
TABLES = Path(__file__).parents[1] / "tables"
LANGUAGE_MODELS = RECIPES / "language_model"

KINDS = {RECIPES: "recipe", TABLES: "table", LANGUAGE_MODELS: "language-model recipe"}
"""What the files of a folder are called in messages."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Loads as ``yaml.safe_load`` does; libyaml, if it is installed, is ten times as fast."""


class RecipeError(ValueError):
    """A recipe, scale or flag cannot work; the message says what would."""


def names(folder: Path) -> list[str]:
    """Names of the YAML files of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def listed(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the closest name and all known ones."""
    known = list(known)
    return f"{did_you_mean(name, known)}; there are: {', '.join(known)}"


def yaml_path(folder: Path, name: str) -> Path:
    """A file of ``RECIPES``, ``TABLES`` or ``LANGUAGE_MODELS`` given by name, or any YAML file by its path.

    Raises:
        RecipeError: there is no such file; the message lists the known ones.
    """
    kind = KINDS[folder]
    if Path(name).suffix in (".yaml", ".yml"):
        if not Path(name).is_file():
            raise RecipeError(f"no file {name}; the built-in {kind}s are: {', '.join(names(folder))}")
        return Path(name)
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise RecipeError(f"no {kind} {name!r}{listed(name, names(folder))} (or give a path to a .yaml file)")
    return path


def config_path(name: str) -> Path:
    """The YAML that ``--config`` names: a recipe's, a file, or that of a run's folder.

    Raises:
        RecipeError: there is no such file; the message lists the known runs or recipes.
    """
    path = Path(name).expanduser() if (RECIPES / f"{name}.yaml").is_file() else located(name)
    if path.is_dir():
        if not (path / "config.yaml").is_file():
            raise RecipeError(f"--config {name} is a folder but not a run: it has no config.yaml{_runs_in(path)}")
        return path / "config.yaml"
    if len(path.parts) > 1 and path.suffix not in (".yaml", ".yml"):
        raise RecipeError(f"--config {name}: there is no such run{_runs_in(path.parent, path.name)}")
    return yaml_path(RECIPES, name)


def _runs_in(folder: Path, name: str = "") -> str:
    """The end of a message: the runs in a folder, and the one with the closest name."""
    if not folder.is_dir():
        return f", nor a folder {folder}"
    runs = sorted(config.parent.name for config in folder.glob("*/config.yaml"))
    if not runs:
        return f"; there are no runs in {folder}"
    listed_runs = ", ".join(runs[:MOST_NAMES]) + (", …" if len(runs) > MOST_NAMES else "")
    near = did_you_mean(name, [run for run in runs if "." not in run])
    return f"{near}; the runs in {folder} are: {listed_runs}"


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        RecipeError: it is not YAML, or holds something else.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} should hold a mapping, as the built-in recipes do")
    return content
