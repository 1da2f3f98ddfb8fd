"""``codeclab speed``: how fast training, coding, reading and measuring are on this machine."""

import sys
from dataclasses import fields
from datetime import date
from pathlib import Path

from codeclab.benchmarks.speed.machine import describe_machine
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.timing import in_threads
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.speed import make_parser
from codeclab.experiments.runs.speed.request import SpeedRequest, speed_table


def run(command: str, argv: list[str]) -> int:
    """``codeclab speed``; returns the exit status."""
    options, flags = make_parser().parse_known_args(argv)
    names = {field.name for field in fields(SpeedRequest)}
    given = {name: value for name, value in vars(options).items() if name in names}
    try:
        request = SpeedRequest(**given, flags=flags)
        with in_threads(request.n_threads):
            title = f"{date.today().isoformat()}, {describe_machine()}"
            table = speed_table(request)
    except (ValueError, OSError) as error:
        return failed("speed", error)
    text = "\n".join([f"{title}:", "", *table.lines, *(f"\n* {note}" for note in table.notes)]) + "\n"
    print(text, end="")
    if options.output:
        write_atomically(Path(options.output), text)
        print(f"written to {options.output}", file=sys.stderr)
    if options.plot:
        print(f"drawn in {options.plot}", file=sys.stderr)
    return 0
