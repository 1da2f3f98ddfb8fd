"""The description of a run for W&B: its settings by short names, its group, its tags."""

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MadeFor:
    """The row of a table that a run is made for.

    Attributes:
        table: name of the table.
        row: name of the row.
        seed: position among the row's seeds, from 0.
        recipe: name of its recipe.
        scale: name of its scale; None is the recipe's own sizes.
    """

    table: str
    row: str
    seed: int = 0
    recipe: str = ""
    scale: str | None = None


def describe_run(config: dict[str, Any], recipe: str, scale: str | None) -> dict[str, Any]:
    """Arguments of ``wandb.init``: ``config``, and ``group``, ``tags`` and ``job_type`` where the user gave none.

    Runs are grouped by table, outside of a table by recipe; tags are recipe, scale, table and row.

    Args:
        config: resolved settings of a run, parts as ``class_path`` and ``init_args``, ``made_for`` as of ``MadeFor``.
        recipe: name of the recipe.
        scale: name of the scale; None is the recipe's own sizes.
    """
    made_for = config.get("made_for") or {}
    names = {"recipe": recipe, "scale": scale or "paper"}
    names |= {key: "paper" if value is None else str(value) for key, value in made_for.items()}
    tags = [names[key] for key in ("recipe", "scale", "table", "row") if names.get(key)]
    chosen = {
        "group": ("WANDB_RUN_GROUP", names.get("table", recipe)),
        "job_type": ("WANDB_JOB_TYPE", "train"),
        # W&B takes tags of 1 to 64 characters.
        "tags": ("WANDB_TAGS", list(dict.fromkeys(tag[:64] for tag in tags))),
    }
    arguments: dict[str, Any] = {key: value for key, (variable, value) in chosen.items() if variable not in os.environ}
    return arguments | {"config": names | short_config(config)}


def short_config(config: dict[str, Any]) -> dict[str, Any]:
    """Settings as W&B groups by them: each part of the model by its short name, then every section as nested values.

    ``quantizer`` is ``"ResidualVQ"`` and ``model.quantizer.n_codebooks`` is 32; several discriminators are joined by
    `` + ``, and their settings stand under their names.

    Args:
        config: resolved settings, parts as ``class_path`` and ``init_args``.
    """
    parts = {key: name for key, value in (config.get("model") or {}).items() if (name := _part_name(value))}
    sections = {key: _shortened(config[key]) for key in ("model", "data", "trainer", "init") if config.get(key)}
    return parts | sections


def _part_name(value: Any) -> str:
    """The short name of a part, of several joined; empty where it is none."""
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"]).rpartition(".")[2]
    if isinstance(value, list) and value and all(_part_name(item) for item in value):
        return " + ".join(_part_name(item) for item in value)
    return ""


def _shortened(value: Any) -> Any:
    if isinstance(value, dict) and "class_path" in value:
        return {"part": _part_name(value)} | _shortened(value.get("init_args") or {})
    if isinstance(value, dict):
        return {str(key): _shortened(item) for key, item in value.items()}
    if isinstance(value, list) and _part_name(value):
        names = [_part_name(item) for item in value]
        # Two of one kind would otherwise be one.
        keys = [name if names.count(name) == 1 else f"{name} {index}" for index, name in enumerate(names)]
        return {key: _shortened(item.get("init_args") or {}) for key, item in zip(keys, value, strict=True)}
    return [_shortened(item) for item in value] if isinstance(value, list | tuple) else value
