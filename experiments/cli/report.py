"""``codeclab report``: runs compared on one page, to look at and to listen to."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from codeclab.benchmarks.report import Report, render
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.cli.options.report import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file
from codeclab.experiments.listen import ReportClips, Sources, read_sources


def make_report(sources: Sources, options: argparse.Namespace) -> str:
    """The page, with as many clips as fit.

    Args:
        sources: the table and its rows' runs.
        options: of ``codeclab report``.

    Raises:
        RecipeError: the page would be too large without any clip.
    """
    histories = {source.row: history for source in sources.row_sources if (history := source.history) is not None}
    report = Report(sources.table, sources.notes, histories)
    room = round(options.max_mb * 1e6)
    bare = len(render(report).encode())
    if bare > room:
        raise RecipeError(f"the page takes {bare / 1e6:.1f} MB without any clip; give --max-mb {bare / 1e6 + 1:.0f}")
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    heard = ReportClips(sources.row_sources, options.data, device, options.split)
    room -= bare + 4000 * (1 + sum(len(source.evaluation.per_file) for source in sources.row_sources) // 100)
    clips = heard.played(heard.fitting(options.clips, room)) if options.clips != 0 else []
    there = len(heard.clips) if heard.clips is not None else 0
    wanted = there if options.clips is None else min(options.clips, there)
    while True:
        messages = [*heard.messages, *_left_out(len(clips), wanted, options.max_mb)]
        page = render(replace(report, clips=clips, messages=messages))
        if len(page.encode()) <= options.max_mb * 1e6 or not clips:
            return page
        clips = clips[:-1]


def _left_out(included: int, wanted: int, max_mb: float) -> list[str]:
    if included >= wanted:
        return []
    return [
        f"{included} of {wanted} test clips are on this page, as many as fit into {max_mb:g} MB; "
        "`codeclab report --max-mb` makes room for more."
    ]


def run(command: str, argv: list[str]) -> int:
    """``codeclab report``; returns the exit status."""
    options = make_parser().parse_args(argv)
    began = time.monotonic()
    try:
        if options.clips is not None and options.clips < 0:
            raise RecipeError("--clips should be 0 or more")
        for file in options.imports:
            import_file(file)
        sources = read_sources([Path(path) for path in options.runs])
        page = make_report(sources, options)
    except ValueError as error:
        print(f"codeclab report: {error}", file=sys.stderr)
        return 2
    write_atomically(Path(options.output), page)
    print(f"{time.monotonic() - began:.0f} s. Written to {options.output}: {len(page.encode()) / 1e6:.1f} MB")
    return 0
