"""The options of ``codeclab agreement``."""

import argparse


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab agreement``."""
    parser = argparse.ArgumentParser(
        prog="codeclab agreement",
        description="How many of a paper's orderings between rows were found again, over several tables: per metric, "
        "and all together, beside what a random order finds. Pairs are within a table.",
        epilog="Example: codeclab agreement runs/dac_table2-mini runs/dac_table3-mini",
    )
    parser.add_argument("tables", metavar="TABLE", nargs="+", help="a folder that `codeclab table` wrote")
    return parser
