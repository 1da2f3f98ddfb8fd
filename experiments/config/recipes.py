"""Turns a recipe's text into parts, for the command line and ``Codec.from_recipe`` (without Lightning)."""

import copy
import inspect
import math
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from codeclab.codecs.codec import Codec
from codeclab.experiments.config.files import RECIPES, RecipeError, read_yaml, yaml_path
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.config.parts import slots
from codeclab.experiments.config.scales import apply_scale, read_scale
from codeclab.experiments.config.tree import Tree
from codeclab.experiments.train.parts import import_parts


def frame_rate(sample_rate: int, encoder: Namespace) -> float:
    """Latent frames per second, Hz, of a parsed encoder; 0, which no quantizer accepts, where it takes no strides."""
    strides = encoder.get("init_args", Namespace()).get("strides")
    return sample_rate / math.prod(strides) if strides else 0.0


def link_parts(parser: ArgumentParser) -> None:
    """Give the quantizer and the decoder the encoder's latent dimension, and the quantizer the frame rate."""
    for part in ("quantizer", "decoder"):
        parser.link_arguments(
            "model.encoder",
            f"model.{part}.init_args.dimension",
            compute_fn=lambda encoder: encoder.dimension,
            apply_on="instantiate",
        )
    sources = ("model.sample_rate", "model.encoder")
    parser.link_arguments(sources, "model.quantizer.init_args.frame_rate", compute_fn=frame_rate)


def codec_from_recipe(name: str, scale: str | None = None) -> Codec:
    """An untrained codec built from a recipe's ``model`` section.

    Args:
        name: a built-in recipe's name or a path to a YAML.
        scale: ``laptop``, ``mini``, ``lab`` or ``paper``; None leaves the recipe's own sizes (the paper's).

    Raises:
        RecipeError: no such recipe or scale, or a recipe whose parts cannot work together.
    """
    return codec_from_settings(codec_settings(name, scale))


def codec_settings(name: str, scale: str | None = None) -> dict[str, Any]:
    """The settings of a recipe's codec, by the names of its arguments; ``codec_from_settings`` reads no file for them.

    Args:
        name: a built-in recipe's name or a path to a YAML.
        scale: name of the scale; None leaves the recipe's own sizes.

    Raises:
        RecipeError: no such recipe or scale, or a part or argument that does not exist.
    """
    import_parts()
    content = read_yaml(yaml_path(RECIPES, name))
    import_files(content.get("import") or [])
    model = content.get("model")
    if not isinstance(model, dict):
        raise RecipeError(f"recipe {name!r} has no 'model' section")
    tree = Tree({f"model.{slot}": base for slot, base in slots(Codec).items()})
    tree.lay_over({"model": model})
    settings = apply_scale(tree.settings, read_scale(scale), ()) if scale else tree.settings
    wanted = inspect.signature(Codec).parameters
    return {key: value for key, value in settings["model"].items() if key in wanted}


def codec_from_settings(settings: dict[str, Any]) -> Codec:
    """An untrained codec, from the settings of ``codec_settings``.

    Raises:
        ValueError: its parts cannot work together.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Codec, "model")
    link_parts(parser)
    return parser.instantiate(parser.parse_object({"model": copy.deepcopy(settings)})).model  # which it changes
