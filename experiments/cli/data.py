"""``codeclab data``: manifests of audio, measured by the suite."""

import argparse
from pathlib import Path
from typing import Any

from codeclab.codecs.io.locks import LockedError
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.data import make_parser
from codeclab.experiments.data.manifest import MANIFEST_NAME, join_manifests
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.scan_folder import check_output, own_manifest, scan_folder
from codeclab.experiments.data.segment_rules import sized_rule
from codeclab.experiments.data.summary import not_listed, summarize


def run(command: str, argv: list[str]) -> int:
    """``codeclab data``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        output = own_manifest(Path(options.folder)) if options.output is None else Path(options.output).expanduser()
        check_output(output, options.overwrite)
        rows = STEPS[options.action](options, output)
    except (DataError, LockedError, OSError) as error:
        return failed(f"data {options.action}", error)
    print(summarize(rows))
    print(f"written to {output}")
    if options.action == "scan" and output == Path(options.folder).expanduser() / MANIFEST_NAME:
        print(f"--data {options.folder} now reads this manifest; after adding files, scan again with --overwrite")
    return 0


def join(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Join manifests; returns the rows."""
    return join_manifests([Path(name).expanduser() for name in options.manifests], output)


def scan(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Scan a folder or prepare a dataset, and print the files that are not listed; returns the manifest's rows."""
    dataset = options.name if options.action == "prepare" else None
    rows, skipped = scan_folder(Path(options.folder), output, options.workers, options.overwrite, dataset)
    if skipped:
        print(not_listed(skipped))
    return rows


def segments(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Draw a test set of segments, and print remarks on it; returns the manifest's rows."""
    # It imports torch, which the processes of a scan do without.
    from codeclab.experiments.data.segments import write_segments

    rule = sized_rule(options.rule, options.seconds, options.count)
    like = Path(options.like).expanduser() if options.like else None
    rows, remarks = write_segments(options.folder, output, rule, options.seed, options.overlap, like)
    for remark in remarks:
        print(remark)
    return rows


STEPS = {"scan": scan, "prepare": scan, "segments": segments, "join": join}
