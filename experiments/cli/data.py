"""``codeclab data``: manifests of audio, measured by the suite."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.locks import Lock, LockedError
from codeclab.codecs.wording import by_number
from codeclab.experiments.cli.options.data import make_parser
from codeclab.experiments.data.datasets import DATASETS
from codeclab.experiments.data.manifest import (
    MANIFEST_NAME,
    is_manifest,
    list_tree,
    read_manifest,
    read_rows,
    row_name,
    row_part_of,
    write_rows,
)
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.scanning import write_manifest
from codeclab.experiments.data.segment_rules import RULES

NAMES_SHOWN = 5


def run(command: str, argv: list[str]) -> int:
    """``codeclab data``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        output = _output(options)
        if options.action == "join":
            rows: list[dict[str, Any]] = join_manifests([Path(name).expanduser() for name in options.manifests], output)
        elif options.action == "segments":
            rows = write_segments(options, output)
        else:
            skipped: list[tuple[str, str]] = []
            listed = _list_files(options, skipped)
            with Lock(output.with_name(f".{output.name}.lock")) as lock:
                lock.hold(str(output), "name another with -o")
                _output(options)  # another scan may have written it just now
                rows = write_manifest(listed, output, options.workers, given=_given(options))
            if skipped:
                print(f"not listed: {_names([f'{name} ({reason})' for name, reason in skipped])}")
    except (DataError, LockedError, OSError) as error:
        print(f"codeclab data {options.action}: {error}", file=sys.stderr)
        return 2
    print(summarize(rows))
    print(f"written to {output}")
    if options.action == "scan" and output == Path(options.folder).expanduser() / MANIFEST_NAME:
        print(f"--data {options.folder} now reads this manifest; after adding files, scan again with --overwrite")
    return 0


def write_segments(options: argparse.Namespace, output: Path) -> list[dict[str, Any]]:
    """Write a corpus' manifest with a test set of segments in place of its test files.

    Raises:
        DataError: there is no such corpus, a size is not positive, or a category cannot be drawn.
    """
    # They import torch, which the processes of a scan do without.
    from codeclab.experiments.data.named import open_corpus
    from codeclab.experiments.data.segments import draw_segments, manifest_row, segments_like

    rule = RULES[options.rule]
    rule = replace(rule, seconds=options.seconds or rule.seconds, count=options.count or rule.count)
    if rule.seconds <= 0 or rule.count <= 0 or options.seed < 0:
        raise DataError("--seconds and --count should be above 0, and --seed 0 or more")
    corpus = open_corpus(options.folder)
    remarks: list[str] = []
    if options.like:
        segments = segments_like(Path(options.like).expanduser(), corpus.split("all"))
    else:
        segments, remarks = draw_segments(corpus.split("test"), rule, options.seed, options.overlap)
    rows = [manifest_row(recording) for recording in [*corpus.train, *corpus.valid, *segments]]
    write_atomically(output, write_rows(rows))
    for remark in remarks:
        print(remark)
    return rows


def join_manifests(manifests: Sequence[Path], output: Path) -> list[dict[str, Any]]:
    """Write one manifest with the rows of several, in their order.

    Raises:
        DataError: one is not a manifest, or a name occurs twice.
    """
    joined: dict[str, dict[str, Any]] = {}
    for manifest in manifests:
        if not is_manifest(manifest):
            raise DataError(f"{manifest} is not a manifest, which is a CSV file with a 'path' column")
        for row in read_rows(manifest):
            name = row_name(row)
            if name in joined:
                raise DataError(f"{name} is in two manifests; the second is {manifest}")
            own = {"name": name, "part_of": row_part_of(row)}
            joined[name] = {**row, **absolute_paths(row, manifest.parent), **own}
    write_atomically(output, write_rows(joined.values()))
    return list(joined.values())


def absolute_paths(row: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The paths of a manifest's row, relative ones taken from the manifest's folder."""
    keys = [key for key in ("path", "mix_path") if row.get(key)]
    return {key: Path(os.path.abspath(folder / row[key])).as_posix() for key in keys}


def summarize(rows: Sequence[dict[str, Any]]) -> str:
    """Files, hours and full-band files by split and domain, and the files that cannot be used, as lines."""
    usable = [row for row in rows if not row.get("problem")]
    lines = []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in usable:
        groups.setdefault((row.get("split") or "-", row.get("domain") or "all"), []).append(row)
    for (split, domain), group in sorted(groups.items()):
        hours = sum(float(row.get("seconds") or 0) for row in group) / 3600
        files = by_number(len(group), "file", "files")
        full = sum(str(row.get("full_band")).lower() == "true" for row in group)
        lines.append(f"{split:6} {domain:12} {len(group):8} {files:5} {hours:10.3f} h {full:8} full-band")
    useless = [f"{row.get('name') or row['path']} ({row['problem']})" for row in rows if row.get("problem")]
    if useless:
        lines.append(f"unusable: {_names(useless)}")
    return "\n".join(lines)


def _list_files(options: argparse.Namespace, skipped: list[tuple[str, str]]) -> list[Recording]:
    root = Path(options.folder).expanduser()
    if options.workers < 1:
        raise DataError(f"--workers must be 1 or more, got {options.workers}")
    if options.action == "prepare":
        return DATASETS[options.name].list_files(root)
    if is_manifest(root):
        listed = read_manifest(root, skipped)
    elif root.is_dir():
        listed = list_tree(root, skipped)
    else:
        raise DataError(f"there is no folder or manifest {root}")
    if not listed:
        left_out = f"; not listed: {_names([f'{name} ({reason})' for name, reason in skipped])}" if skipped else ""
        raise DataError(f"no audio in {root}{left_out}")
    return listed


def _given(options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The rows of the scanned manifest by name, the first of each name; empty for a folder."""
    root = Path(options.folder).expanduser()
    if options.action != "scan" or not is_manifest(root):
        return {}
    return {row_name(row): row for row in reversed(read_rows(root))}


def _output(options: argparse.Namespace) -> Path:
    """The manifest to write.

    Raises:
        DataError: the file exists and is not to be replaced.
    """
    folder = Path(getattr(options, "folder", "")).expanduser()
    if options.output is None and not folder.is_dir():
        raise DataError(f"{folder} is not a folder; say where to write with -o FILE.csv")
    output = Path(options.output).expanduser() if options.output else folder / MANIFEST_NAME
    if output.is_dir():
        raise DataError(f"{output} is a folder; -o needs the name of a CSV file")
    if output.exists() and not options.overwrite:
        raise DataError(f"{output} exists already; give another name with -o, or replace it with --overwrite")
    return output


def _names(names: Sequence[str]) -> str:
    more = f"; and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)}: {'; '.join(names[:NAMES_SHOWN])}{more}"
