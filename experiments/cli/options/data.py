"""The options of ``codeclab data``."""

import argparse

from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.datasets import DATASETS, describe_all
from codeclab.experiments.data.manifest import MANIFEST_NAME
from codeclab.experiments.data.segment_rules import RULES


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab data``."""
    parser = argparse.ArgumentParser(
        prog="codeclab data",
        description="Write manifests: CSV files that --data takes in place of a folder. The same command continues "
        "after an interruption. Nothing is downloaded.",
    )
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    scan = commands.add_parser(
        "scan",
        help="measure every file of a folder",
        description="Measure every audio file in a folder, or listed in a manifest: sampling rate, channels, seconds, "
        "band (its highest frequency with energy, and whether it is full-band), level, and the problem if the "
        "file cannot be used.",
    )
    scan.add_argument("folder", metavar="FOLDER", help="a folder of audio, or a manifest whose files are measured")
    prepare = commands.add_parser(
        "prepare",
        help="measure a paper's dataset and split it as the paper does",
        description="Measure a local copy of one of the papers' datasets, split as the paper does.",
        epilog=describe_all(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument("name", metavar="NAME", choices=list(DATASETS), help=", ".join(DATASETS))
    prepare.add_argument("folder", metavar="FOLDER", help="your copy of the dataset")
    segments = commands.add_parser(
        "segments",
        help="draw a paper's test set: segments of the test files",
        description="Draw a test set from the test files of a corpus: seeded segments of equal length that do not "
        "overlap and are not silent; a file may give several. The manifest written is that of the corpus with these "
        "segments in place of the test files, and --data takes it for training and for measuring.",
        epilog="\n".join(f"{name}: {rule.source}" for name, rule in RULES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    segments.add_argument("folder", metavar="FOLDER", help="a folder of audio, or a manifest")
    segments.add_argument(
        "--rule", choices=list(RULES), default="dac", help="rule by which segments are drawn (default: dac)"
    )
    segments.add_argument("--seconds", type=float, metavar="S", help="length of a segment (default: the rule's)")
    segments.add_argument("--count", type=int, metavar="N", help="segments per domain (default: the rule's)")
    segments.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (default: 0)")
    segments.add_argument("--overlap", action="store_true", help="let segments overlap in domains that are too short")
    segments.add_argument("--like", metavar="CSV", help="take the segments of this test set, found by their names")
    join = commands.add_parser(
        "join",
        help="join several manifests into one",
        description="Join manifests, such as those of a paper's datasets.",
    )
    join.add_argument("manifests", metavar="MANIFEST", nargs="+", help="a manifest written by codeclab data")
    for command in (scan, prepare, segments, join):
        default = f"FOLDER/{MANIFEST_NAME}" if command is scan else None
        command.add_argument(
            "-o",
            "--output",
            metavar="CSV",
            required=default is None,
            help="the manifest to write" + (f" (default: {default})" if default else ""),
        )
        command.add_argument("--overwrite", action="store_true", help="replace an existing manifest")
        if command in (scan, prepare):
            command.add_argument(
                "--workers", type=int, default=usable_cores(), metavar="N", help="processes (default: all cores)"
            )
    return parser
