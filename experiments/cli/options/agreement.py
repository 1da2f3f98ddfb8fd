"""The options of ``codeclab agreement``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab agreement``."""
    parser = argparse.ArgumentParser(
        prog="codeclab agreement",
        description="Count how many of a paper's orderings between rows several tables reproduce, for each metric and "
        "in total, beside the number that a random order would give. Only rows of the same table are compared.",
        epilog="Example: codeclab agreement runs/dac_table2-mini runs/dac_table3-mini",
    )
    add_imports(parser)
    parser.add_argument("tables", metavar="TABLE", nargs="+", help="a folder written by `codeclab table`")
    return parser
