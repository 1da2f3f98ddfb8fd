"""A part under test: found, and built small."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from codeclab.experiments.config.parts import subclasses
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.train.parts import describe, import_parts

SMALL = {"dimension": 16, "strides": (2, 4), "n_codebooks": 3, "codebook_size": 16}
"""Sizes of the arguments that parts share, in place of their defaults."""


def discovered_parts(base: type) -> list[type]:
    """Every part of a kind that can be chosen by name: the suite's, and those of files that were imported."""
    import_parts()
    return list(subclasses(base).values())


class PartContract:
    """What every part promises.

    Attributes:
        part: the class under test.
        arguments: arguments of its constructor, by name, where the defaults, made small by ``SMALL`` and the scale
            ``laptop``, do not do.
    """

    part: type
    arguments: ClassVar[Mapping[str, Any]] = {}

    def build(self, seed: int = 0) -> Any:
        """A small one, the same for the same seed; in evaluation mode where it has modes."""
        torch.manual_seed(seed)
        takes = inspect.signature(self.part).parameters
        sizes = read_scale("laptop")["parts"].get(self.part.__name__, {}) | SMALL
        built = self.part(**{name: size for name, size in sizes.items() if name in takes} | dict(self.arguments))
        return built.eval() if isinstance(built, nn.Module) else built

    def rebuild(self, built: Any) -> Any:
        """Another with the same arguments, as its attributes tell them, and the same weights."""
        described = describe(built)["arguments"]
        again = self.part(**{name: value for name, value in described.items() if not isinstance(value, Mapping)})
        if isinstance(built, nn.Module):
            again.load_state_dict(built.state_dict())
            again.eval()
        return again

    def test_it_keeps_its_arguments(self) -> None:
        """A part that is saved stores each constructor argument as an attribute of that name."""
        built = self.build()
        for name in inspect.signature(self.part).parameters:
            assert hasattr(built, name) or name in ("args", "kwargs"), (
                f"{self.part.__name__} keeps its argument {name!r} in no attribute of that name"
            )


def noise(*shape: int, seed: int = 1, level: float = 0.1) -> Tensor:
    """Seeded noise of a shape."""
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
