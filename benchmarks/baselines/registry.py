"""Baselines by name, built from a table's YAML or the command line."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from codeclab.benchmarks.baselines.base import Baseline
from codeclab.benchmarks.baselines.command import CommandBaseline, read_template
from codeclab.benchmarks.baselines.python_codec import PythonCodec
from codeclab.benchmarks.baselines.transformers_codec import TransformersCodec
from codeclab.codecs.io import part_files
from codeclab.codecs.io.parts import concrete_subclasses, import_parts_of
from codeclab.codecs.wording import did_you_mean

import_parts_of(part_files.BASELINES)
BASELINES: dict[str, Callable[..., Baseline]] = {
    part.__name__: part for part in sorted(concrete_subclasses(Baseline), key=lambda part: part.__name__)
}
"""All baselines by the name of their class; a new file in this folder adds its own."""

TRANSFORMERS = "transformers:"
"""Prefix of a folder or hub id that ``transformers`` runs."""


def named_codec(word: str) -> dict[str, Any] | None:
    """The baseline that a codec's name means; None if ``Codec.from_pretrained`` reads it.

    Args:
        word: ``transformers:NAME_OR_FOLDER``, ``FILE.py``, or another.
    """
    if word.startswith(TRANSFORMERS):
        return {"part": TransformersCodec.__name__, "model": word.removeprefix(TRANSFORMERS)}
    return {"part": PythonCodec.__name__, "file": word} if word.endswith(".py") else None


def make_baseline(spec: Mapping[str, Any]) -> Baseline:
    """The baseline that a mapping describes.

    Args:
        spec: mapping ``{part: Opus, ...constructor arguments}``. ``{part: CommandBaseline, file: evs}`` reads the
            arguments from a template, which further arguments override: see ``read_template``.

    Raises:
        ValueError: there is no such part, it lacks or has no such argument, or an argument's value is wrong.
    """
    arguments = dict(spec)
    name = arguments.pop("part", None)
    if name not in BASELINES:
        raise ValueError(f"no baseline {name!r}{did_you_mean(str(name), BASELINES)}; there are: {', '.join(BASELINES)}")
    part = BASELINES[name]
    if part is CommandBaseline and "file" in arguments:
        arguments = read_template(str(arguments.pop("file"))) | arguments
    known = inspect.signature(part).parameters
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}; it has: {', '.join(known)}")
    lacking = [key for key, value in known.items() if value.default is value.empty and key not in arguments]
    if lacking:
        raise ValueError(f"{name} needs {', '.join(lacking)}")
    return part(**arguments)


def describe_baseline(baseline: Baseline) -> dict[str, Any]:
    """The mapping that makes a baseline again, with every default written out."""
    part = type(baseline)
    return {"part": part.__name__} | {name: getattr(baseline, name) for name in inspect.signature(part).parameters}
