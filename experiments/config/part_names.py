"""Names of parts, read from the source, so that help lists them without importing torch."""

import ast
from functools import cache

from codeclab.codecs.io.defined_classes import ROOT, DefinedClass, defined_classes, with_derived
from codeclab.codecs.io.part_files import CODEC_PARTS, DATA_PARTS, TRAINING_PARTS

REGISTRY = ROOT / "benchmarks" / "baselines" / "registry.py"
OWNERS = {"model": "CodecExperiment", "data": "AudioData"}
"""For each section of flags, the class that takes their values."""

OWNER_FILES = ("experiments/train/module.py", "experiments/data/module.py")
"""Files that define those classes."""

INTERNAL = ("Ensemble",)
"""Classes that derive from a part's base but are put together by the trainer, not chosen."""


@cache
def _known() -> dict[str, DefinedClass]:
    """The classes of the package's parts, and those that take them."""
    return defined_classes((*CODEC_PARTS, *TRAINING_PARTS, *DATA_PARTS, *OWNER_FILES))


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
    """The baselines' names, as the registry lists their classes."""
    (listed,) = (
        node.value.generators[0].iter
        for node in ast.parse(REGISTRY.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.DictComp)
    )
    return [word.id for word in ast.walk(listed) if isinstance(word, ast.Name)]
