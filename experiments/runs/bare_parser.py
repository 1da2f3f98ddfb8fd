"""The parser of ``codeclab fit`` without anything to parse: what it knows, and its help."""

from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from codeclab.experiments.config.flags import Request
from codeclab.experiments.runs.build import CodecCLI
from codeclab.experiments.runs.process import Notes


class BareCLI(CodecCLI):
    """Makes the parser, parses nothing and builds nothing."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Leave the seed alone, as there are no settings."""
        self.config = {"seed_everything": False}

    def instantiate_classes(self) -> None:
        """Build nothing."""


def make_parser(command: str) -> LightningArgumentParser:
    """The parser of ``fit``, ``validate`` or ``test``."""
    return BareCLI(command, Request(), Notes()).parser
