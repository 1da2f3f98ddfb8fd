"""``codeclab encode``, ``decode`` and ``reconstruct``: audio files, or folders of them, through a codec."""

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.codecs.entropy.file_coder import CodingResult, CodingSettings
from codeclab.codecs.entropy.many_files import CODES, CodingTotals, code_files, file_pairs
from codeclab.codecs.wording import counted, duration
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.code_files import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import code_is_allowed, import_files, import_from
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.formats import EXTENSIONS
from codeclab.experiments.runs.load_codec import load_codec
from codeclab.experiments.runs.precision import note_precision


def print_results(command: str, results: list[CodingResult], spent: float) -> None:
    """Print errors and damage on standard error, and totals of what was coded: files, duration, kbps, speed."""
    for result in results:
        if result.coded is None:
            print(f"codeclab {command}: {result.error}", file=sys.stderr)
        for damage in result.coded.damage if result.coded else ():
            print(f"codeclab {command}: {result.source} is damaged, {damage}", file=sys.stderr)
    totals = CodingTotals.of(results)
    if not totals.files:
        return
    speed = f"{totals.seconds / spent:.1f} times real time"
    print(f"{counted(totals.files, 'file')}, {duration(totals.seconds)}, {totals.kbps:.3g} kbps, {speed}")


def import_parts_of(codec: str, imports: Sequence[str], run_code: bool) -> None:
    """Import the Python files that were named, and those of the codec's run if they may be executed unasked.

    Raises:
        RecipeError: one cannot be imported.
    """
    import_files(imports)
    if run_code:
        import_from(codec, run_code)


def run(command: str, argv: list[str]) -> int:
    """``codeclab encode|decode|reconstruct``; returns the exit status."""
    options = make_parser(command).parse_args(argv)
    model = None if options.language_model is None else Path(options.language_model)
    settings = CodingSettings(
        options.command,
        options.codec,
        options.bitrate,
        options.entropy,
        model,
        options.device,
        options.precision,
        options.engine,
    )
    note_precision(command, options.precision, options.device)
    try:
        suffixes = CODES if command == "decode" else EXTENSIONS
        pairs = file_pairs(Path(options.input), Path(options.output), suffixes, f".{options.format.lstrip('.')}")
        if command == "encode" and (name := pairs[0][1]).suffix.lower() in EXTENSIONS:
            raise RecipeError(
                f"{name} would hold codes, and no audio; OUT should end with .clc, as in {name.with_suffix('.clc')} "
                "(`codeclab reconstruct` writes audio)"
            )
        if options.jobs is not None and options.jobs < 1:
            raise RecipeError(f"--jobs is {options.jobs}; it should be at least 1")
        jobs = min(options.jobs or usable_cores(), len(pairs))
        began, results = time.perf_counter(), []
        with progress_bar(command, len(pairs), len(pairs) > 1, "file") as step:
            prepare = partial(import_parts_of, options.codec, options.imports, code_is_allowed())
            prepare()
            for result in code_files(load_codec(options.codec), settings, pairs, jobs, prepare):
                results.append(result)
                step()
    except (ValueError, OSError) as error:
        return failed(command, error)
    print_results(command, results, time.perf_counter() - began)
    return int(any(result.coded is None for result in results))
