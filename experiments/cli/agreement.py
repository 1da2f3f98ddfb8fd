"""``codeclab agreement``: how many of a paper's orderings several tables reproduce."""

from pathlib import Path

from codeclab.benchmarks.tables.agreement import agreement_over
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.agreement import make_parser
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.listen import read_sources


def run(command: str, argv: list[str]) -> int:
    """``codeclab agreement``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        import_files(options.imports)
        # With what stands behind the rows, where the entropies of their codebooks are.
        tables = [read_sources([Path(folder)]).table for folder in dict.fromkeys(options.tables)]
    except ValueError as error:
        return failed("agreement", error)
    findings = agreement_over(tables)
    for finding in findings:
        print(f"{finding.text}.")
    if not findings:
        return failed("agreement", "no two rows have both published figures and our own to compare", 1)
    return 0
