"""``codeclab agreement``: how many of a paper's orderings several tables reproduce."""

import sys
from pathlib import Path

from codeclab.benchmarks.tables.agreement import agreement_over
from codeclab.experiments.cli.options.agreement import make_parser
from codeclab.experiments.listen import read_sources


def run(command: str, argv: list[str]) -> int:
    """``codeclab agreement``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        # With what stands behind the rows, where the entropies of their codebooks are.
        tables = [read_sources([Path(folder)]).table for folder in dict.fromkeys(options.tables)]
    except ValueError as error:
        print(f"codeclab agreement: {error}", file=sys.stderr)
        return 2
    findings = agreement_over(tables)
    for finding in findings:
        print(f"{finding.text}.")
    if not findings:
        print("codeclab agreement: no two rows have both published figures and our own to compare", file=sys.stderr)
    return 0 if findings else 1
