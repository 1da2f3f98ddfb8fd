"""``codeclab data``: manifests of audio, measured by the suite."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from codeclab.codecs.io.locks import LockedError
from codeclab.experiments.cli.options.data import make_parser
from codeclab.experiments.data.datasets import DATASETS
from codeclab.experiments.data.join import join_manifests
from codeclab.experiments.data.manifest import MANIFEST_NAME
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.scan_folder import check_output, given_rows, list_recordings, write_scan
from codeclab.experiments.data.segment_rules import RULES
from codeclab.experiments.data.summary import not_listed, summarize


def run(command: str, argv: list[str]) -> int:
    """``codeclab data``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        output = output_of(options)
        if options.action == "join":
            rows = join_manifests([Path(name).expanduser() for name in options.manifests], output)
        elif options.action == "segments":
            rows = segments(options, output)
        else:
            rows = measure(options, output)
    except (DataError, LockedError, OSError) as error:
        print(f"codeclab data {options.action}: {error}", file=sys.stderr)
        return 2
    print(summarize(rows))
    print(f"written to {output}")
    if options.action == "scan" and output == Path(options.folder).expanduser() / MANIFEST_NAME:
        print(f"--data {options.folder} now reads this manifest; after adding files, scan again with --overwrite")
    return 0


def output_of(options: argparse.Namespace) -> Path:
    """The path of the manifest to write.

    Raises:
        DataError: the file exists and is not to be replaced.
    """
    folder = Path(getattr(options, "folder", "")).expanduser()
    if options.output is None and not folder.is_dir():
        raise DataError(f"{folder} is not a folder; say where to write with -o FILE.csv")
    output = Path(options.output).expanduser() if options.output else folder / MANIFEST_NAME
    check_output(output, options.overwrite)
    return output


def measure(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Scan a folder or prepare a dataset, and print the files that are not listed; returns the manifest's rows."""
    root = Path(options.folder).expanduser()
    if options.workers < 1:
        raise DataError(f"--workers must be 1 or more, got {options.workers}")
    skipped: list[tuple[str, str]] = []
    scanned = options.action == "scan"
    listed = list_recordings(root, skipped) if scanned else DATASETS[options.name].list_files(root)
    given = given_rows(root) if scanned else {}
    rows = write_scan(listed, output, options.workers, given, options.overwrite)
    if skipped:
        print(not_listed(skipped))
    return rows


def segments(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Draw a test set of segments, and print remarks on it; returns the manifest's rows."""
    # It imports torch, which the processes of a scan do without.
    from codeclab.experiments.data.write_segments import write_segments

    rule = RULES[options.rule]
    rule = replace(rule, seconds=options.seconds or rule.seconds, count=options.count or rule.count)
    like = Path(options.like).expanduser() if options.like else None
    rows, remarks = write_segments(options.folder, output, rule, options.seed, options.overlap, like)
    for remark in remarks:
        print(remark)
    return rows
