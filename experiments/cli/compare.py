"""``codeclab compare A B Opus``: runs, codecs and baselines on the same clips, in one table with paired differences."""

from pathlib import Path

from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.tables.render import print_table, write_table
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.compare import make_parser
from codeclab.experiments.cli.options.shared import measuring_settings
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.runs.measure.compare import common_data, common_rates, compare
from codeclab.experiments.runs.measure.subjects import read_subjects


def run(command: str, argv: list[str]) -> int:
    """``codeclab compare``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        import_files(options.imports)
        settings = measuring_settings(options, options.metrics)
        subjects = read_subjects(options.subjects)
        data, split = common_data(subjects, settings)
        rates = common_rates(subjects, settings.bitrates)
        data.check((split,))
    except (ValueError, NotInstalledError) as error:
        return failed("compare", error)
    usual = Path("comparisons") / "-".join(subject.name for subject in subjects)
    output = Path(options.output) if options.output else usual
    table = compare(subjects, data, split, rates, settings, output)
    write_table(table, output)
    print_table(table)
    print(f"written to {output}: table.md, table.csv, table.tex, table.png")
    return 1 if any(row.error is not None and not row.absent for row in table.rows) else 0
