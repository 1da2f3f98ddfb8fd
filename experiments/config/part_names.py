"""Names of parts, read from the source, so that help lists them without importing torch."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("codecs", "quantizers", "discriminators", "experiments/data", "experiments/train")
REGISTRY = ROOT / "benchmarks" / "baselines" / "registry.py"
OWNERS = {
    "model": ("experiments/train/module.py", "CodecExperiment"),
    "data": ("experiments/data/module.py", "AudioData"),
}
"""For each section of flags, the class that takes their values."""

INTERNAL = ("Ensemble",)
"""Classes that derive from a part's base but are put together by the trainer, not chosen."""


def classes(file: Path) -> Iterator[ast.ClassDef]:
    """The classes that a file defines."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return (node for node in nodes if isinstance(node, ast.ClassDef))


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [method for method in node.body if isinstance(method, ast.FunctionDef)]


def _is_abstract(node: ast.ClassDef) -> bool:
    return any(
        ast.unparse(one).endswith("abstractmethod") for method in _methods(node) for one in method.decorator_list
    )


@cache
def _known() -> dict[str, tuple[frozenset[str], bool]]:
    """The classes of the package's parts, each with its bases and whether it is abstract."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return {
        node.name: (frozenset(ast.unparse(base).rpartition(".")[2] for base in node.bases), _is_abstract(node))
        for file in files
        for node in classes(file)
    }


def parts_of(base: str) -> list[str]:
    """The parts that derive from a class, by name, sorted."""
    known = _known()
    derived = {base}
    while more := {name for name, (bases, _) in known.items() if bases & derived} - derived:
        derived |= more
    return sorted(
        name
        for name in derived - {base}
        if name in known and not known[name][1] and name not in INTERNAL and not name.startswith("_")
    )


def part_names() -> dict[str, list[str]]:
    """The parts that each slot can hold, with slots as flags write them (``model.quantizer``)."""
    names_by_slot = {}
    for section, (file, owner) in OWNERS.items():
        (node,) = (one for one in classes(ROOT / file) if one.name == owner)
        (init,) = (method for method in _methods(node) if method.name == "__init__")
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
