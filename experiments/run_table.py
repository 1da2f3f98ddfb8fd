"""``codeclab table NAME``: train the rows that are missing, measure them, print the table."""

import argparse
import json
import re
import signal
import sys
import time
from pathlib import Path

import torch

from codeclab.benchmarks.evaluation import Evaluation
from codeclab.benchmarks.files import write_atomically
from codeclab.benchmarks.render import print_table, write_table
from codeclab.benchmarks.table import Row, Table
from codeclab.codecs.codec import Codec
from codeclab.codecs.storage import identity
from codeclab.experiments.assemble import SCALES, RecipeError, names
from codeclab.experiments.evaluate_run import data_of, evaluate_codec
from codeclab.experiments.fit import CodecCLI, build
from codeclab.experiments.non_finite import NonFiniteLossError, report_non_finite
from codeclab.experiments.plan import parameters
from codeclab.experiments.run_folder import RunFolder
from codeclab.experiments.tables import TableRow, TableSpec, pick_bitrates, read_table

RANKED_SCALES = ("lab", "paper")
"""Scales at which rows are trained for long enough to be ranked."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab table``."""
    parser = argparse.ArgumentParser(
        prog="codeclab table",
        description="Train every row of a table that is not trained yet, measure all on the same files, and print the "
        "table; it is also written as Markdown, CSV and LaTeX with a plot. The same command continues after an "
        "interruption and redoes nothing.",
        epilog="`codeclab tables` lists the tables. Any other flag goes to every row, as in "
        "--trainer.max_steps 1000 (see `codeclab fit --help`).",
    )
    parser.add_argument("name", help="a table's name, or a .yaml file")
    parser.add_argument("--scale", help=f"{', '.join(names(SCALES))} (default: the table's own, else the recipe's)")
    parser.add_argument(
        "--data", metavar="FOLDER", help="audio to train and measure on (default: the synthetic corpus)"
    )
    parser.add_argument("--rows", metavar="NAME", nargs="+", help="only these rows")
    parser.add_argument("--runs", metavar="FOLDER", default="runs", help="where runs are kept (default: runs)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes for ViSQOL (default: 2)")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="where to write (default: RUNS/TABLE-SCALE)")
    return parser


def slug(name: str) -> str:
    """A row's name as a folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def choose_rows(spec: TableSpec, wanted: list[str] | None) -> list[TableRow]:
    """The rows asked for, all by default.

    Raises:
        RecipeError: a row that the table does not have.
    """
    if not wanted:
        return spec.rows
    by_name = {key: row for row in spec.rows for key in (row.name, slug(row.name))}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise RecipeError(
            f"table {spec.name!r} has no row {', '.join(unknown)}; it has: {', '.join(r.name for r in spec.rows)}"
        )
    return [by_name[name] for name in wanted]


def row_flags(row: TableRow, options: argparse.Namespace, scale: str | None, extra: list[str]) -> list[str]:
    """The arguments of ``codeclab fit`` that make a row."""
    shared = ["--runs", options.runs]
    shared += ["--scale", scale] if scale else []
    shared += ["--data", options.data] if options.data else []
    return [*row.flags, *shared, *extra]


def check(row: TableRow, flags: list[str]) -> str | None:
    """Build a row's parts and drop them again; returns what is wrong with its flags, before any row is trained."""
    try:
        build("fit", [*flags, "--dry-run"], label=slug(row.name))
    except ValueError as error:
        return str(error)
    return None


def train(row: TableRow, flags: list[str]) -> CodecCLI:
    """Train a row to its end, or continue it where it stopped."""
    cli = build("fit", flags, label=slug(row.name))
    try:
        cli.execute()
    except NonFiniteLossError as error:
        print(report_non_finite(error, cli.folder), file=sys.stderr)
        raise
    except RuntimeError:
        if cli.trainer.received_sigterm:
            # A scheduler ends a job by telling all its processes: what failed is a loader that heard it first.
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    return cli


def train_seconds(folder: RunFolder) -> float | None:
    """Seconds that a run's training took, over all its continuations."""
    timing = folder.path / "timing.json"
    return float(json.loads(timing.read_text())["train_seconds"]) if timing.is_file() else None


def measure(folder: RunFolder, spec: TableSpec, data: str | None, workers: int) -> Evaluation:
    """A row's figures: those kept if they are of this codec and these settings, else measured now."""
    codec = Codec.from_pretrained(folder.codec)
    rates = pick_bitrates(codec.bitrates, spec.bitrates)
    data_module = data_of(folder.path, data, codec, spec.sample_rate)
    wanted = {
        "codec": identity(codec),
        "metrics": spec.metrics,
        "bitrates": rates,
        "folder": data_module.folder,
        "sample_rate": data_module.sample_rate,
    }
    kept = folder.path / "evaluation"
    stamp = kept / "table.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return Evaluation.load(kept)
    stamp.unlink(missing_ok=True)
    found = evaluate_codec(codec, data_module, rates, spec.metrics, workers=workers)
    found.save(kept)
    write_atomically(stamp, json.dumps(wanted))
    return found


def unmade(row: TableRow, error: str) -> Row:
    """A row that shows why there is nothing to show."""
    return Row(name=row.name, published=row.published, bitrate=row.bitrate, label=row.label, error=error)


def make_row(row: TableRow, flags: list[str], spec: TableSpec, options: argparse.Namespace) -> Row:
    """Train and measure one row; a failure becomes the row's own message, and the others go on."""
    began = time.monotonic()
    try:
        cli = train(row, flags)
        found = measure(cli.folder, spec, options.data, options.workers)
    except (ValueError, RuntimeError, OSError) as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"{row.name}: {message}", file=sys.stderr)
        return unmade(row, message)
    print(f"{row.name}: done, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return Row(
        name=row.name,
        summary=found.summary,
        published=row.published,
        bitrate=row.bitrate,
        label=row.label,
        wall_seconds=train_seconds(cli.folder),
        parameters=parameters(cli.model.codec),
    )


def run(command: str, argv: list[str]) -> int:
    """``codeclab table``; returns the exit status: 0 when every row was made."""
    options, extra = make_parser().parse_known_args(argv)
    try:
        spec = read_table(options.name)
        chosen = choose_rows(spec, options.rows)
    except RecipeError as error:
        print(f"codeclab table: {error}", file=sys.stderr)
        return 2
    scale = options.scale or spec.scale
    began = time.monotonic()
    flags = [row_flags(row, options, scale, extra) for row in chosen]
    wrong = [check(row, row_flag) for row, row_flag in zip(chosen, flags, strict=True)]
    for row, why in zip(chosen, wrong, strict=True):
        if why:
            print(f"{row.name}: {why}", file=sys.stderr)
    if all(wrong):
        return 2
    print(f"{spec.title}: {len(chosen)} rows at scale {scale or 'paper'}", file=sys.stderr)
    made = [
        unmade(row, why) if why else make_row(row, row_flag, spec, options)
        for row, row_flag, why in zip(chosen, flags, wrong, strict=True)
    ]
    table = Table(
        title=spec.title,
        source=spec.source,
        metrics=spec.metrics,
        rows=made,
        notes=_notes(spec, scale, options.data),
        ranked=scale in RANKED_SCALES or scale is None,
    )
    output = Path(options.output) if options.output else Path(options.runs) / f"{spec.name}-{scale or 'paper'}"
    write_table(table, output)
    print_table(table)
    print(f"{time.monotonic() - began:.0f} s. Written to {output}: table.md, table.csv, table.tex, table.png")
    return 0 if all(row.error is None for row in made) else 1


def _notes(spec: TableSpec, scale: str | None, data: str | None) -> list[str]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    corpus = f"on {Path(data).name}" if data else "on the built-in synthetic corpus"
    rate = (
        f"against originals at {spec.sample_rate / 1000:g} kHz"
        if spec.sample_rate
        else "at each codec's own sampling rate"
    )
    return [f"Scale {scale or 'paper'}, trained and measured {corpus}, on {device}; judged {rate}."]
