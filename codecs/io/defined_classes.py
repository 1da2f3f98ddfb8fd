"""The classes that source files define, read without importing them: help and ``dir(codeclab)`` need no torch."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder that holds ``codecs``, in a checkout and where the package is installed."""


@dataclass(frozen=True)
class DefinedClass:
    """A class as its file defines it.

    Attributes:
        file: file of the definition.
        node: syntax tree of the definition.
    """

    file: Path
    node: ast.ClassDef

    @cached_property
    def bases(self) -> frozenset[str]:
        """Names of the classes from which it directly derives."""
        return frozenset(ast.unparse(base).rpartition(".")[2] for base in self.node.bases)

    @cached_property
    def methods(self) -> dict[str, ast.FunctionDef]:
        """Its own methods by name."""
        return {method.name: method for method in self.node.body if isinstance(method, ast.FunctionDef)}

    @cached_property
    def is_abstract(self) -> bool:
        """Whether a method of its own is abstract."""
        decorators = [one for method in self.methods.values() for one in method.decorator_list]
        return any(ast.unparse(one).endswith("abstractmethod") for one in decorators)

    @cached_property
    def module(self) -> str:
        """The module to import it from."""
        return ".".join(["codeclab", *self.file.relative_to(ROOT).with_suffix("").parts])


def defined_classes(patterns: Iterable[str]) -> dict[str, DefinedClass]:
    """The classes by name that files of the package define at their top level.

    Args:
        patterns: glob patterns of the files, relative to ``ROOT``.
    """
    return {
        node.name: DefinedClass(file, node)
        for pattern in patterns
        for file in sorted(ROOT.glob(pattern))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


def with_derived(bases: Iterable[str], classes: Mapping[str, DefinedClass]) -> set[str]:
    """The names of base classes, and of the classes derived from them at any depth."""
    names = set(bases)
    while more := {name for name, one in classes.items() if one.bases & names} - names:
        names |= more
    return names
