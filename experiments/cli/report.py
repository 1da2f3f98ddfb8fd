"""``codeclab report``: runs compared on one page, to look at and to listen to."""

import time
from pathlib import Path

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.report import make_parser
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.listen import ReportRequest, make_report, read_sources


def run(command: str, argv: list[str]) -> int:
    """``codeclab report``; returns the exit status."""
    options = make_parser().parse_args(argv)
    began = time.monotonic()
    try:
        request = ReportRequest(options.data, options.split, options.clips, options.max_mb, options.device)
        import_files(options.imports)
        page = make_report(read_sources([Path(path) for path in options.runs]), request)
    except ValueError as error:
        return failed("report", error)
    write_atomically(Path(options.output), page)
    print(f"{time.monotonic() - began:.0f} s. Written to {options.output}: {len(page.encode()) / 1e6:.1f} MB")
    return 0
