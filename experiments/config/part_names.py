"""Names of parts, read from the source, so that help lists them without importing torch."""

import ast
from functools import cache

from codeclab.codecs.io.defined_classes import DefinedClass, defined_classes, with_derived
from codeclab.codecs.io.part_files import BASELINES, CODEC_PARTS, DATA_PARTS, TRAINING_PARTS

OWNERS = {"model": "CodecExperiment", "data": "AudioData"}
"""For each section of flags, the class that takes their values."""

OWNER_FILES = ("experiments/train/module.py", "experiments/data/module.py")
"""Files that define those classes."""

INTERNAL = ("Ensemble",)
"""Classes that derive from a part's base but are put together by the trainer, not chosen."""


@cache
def _known() -> dict[str, DefinedClass]:
    """The classes of the package's parts and baselines, and those that take parts."""
    return defined_classes((*CODEC_PARTS, *TRAINING_PARTS, *DATA_PARTS, *BASELINES, *OWNER_FILES))


def parts_of(base: str) -> list[str]:
    """The parts that derive from a class, by name, sorted."""
    known = _known()
    derived = (with_derived([base], known) - {base}) & known.keys() - set(INTERNAL)
    return sorted(name for name in derived if not known[name].is_abstract and not name.startswith("_"))


def part_names() -> dict[str, list[str]]:
    """The parts that each slot can hold, with slots as flags write them (``model.quantizer``)."""
    names_by_slot = {}
    for section, owner in OWNERS.items():
        init = _known()[owner].methods["__init__"]
        for argument in [*init.args.args, *init.args.kwonlyargs]:
            words = ast.walk(argument.annotation) if argument.annotation is not None else ()
            for name in [word.id for word in words if isinstance(word, ast.Name) and word.id in _known()]:
                if parts := parts_of(name):
                    names_by_slot[f"{section}.{argument.arg}"] = parts
    return names_by_slot


def baseline_names() -> list[str]:
    """The baselines' names."""
    return parts_of("Baseline")
