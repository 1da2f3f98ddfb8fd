"""``codeclab export``: a trained codec as a folder for this package, for ``transformers``, or as graphs."""

import sys
from pathlib import Path

from codeclab.codecs.bitrate import listed_rates
from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.names import SUFFIXES
from codeclab.codecs.entropy.choice import Coders
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.export import make_parser
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.runs.export import check_directory, export, keep_fitted


def run(command: str, argv: list[str]) -> int:
    """``codeclab export``; returns the exit status."""
    options = make_parser().parse_args(argv)
    directory = Path(options.directory)
    try:
        check_directory(directory, Path(options.run), options.format, options.overwrite)
        import_files(options.imports)
        codec = Codec.from_pretrained(options.run)
        fitted = Coders.beside(codec, options.run).fitted if options.format == "codeclab" else None
        how, notes = export(codec, directory, options.format, options.half)
        if options.format == "codeclab":
            keep_fitted(fitted, directory)
    except (ValueError, OSError) as error:
        return failed("export", error)
    for note in [] if options.format in SUFFIXES else notes:
        print(f"note: {note}", file=sys.stderr)
    channels = {1: "mono", 2: "stereo"}.get(codec.channels, f"{codec.channels} channels")
    print(f"{directory}: {codec.sample_rate} Hz, {channels}, {listed_rates(codec.bitrates)} kbps, for {options.format}")
    for note in notes if options.format in SUFFIXES else []:
        print(note)
    if fitted is not None:
        print(f"with its language model, for `codeclab encode --codec {directory} --entropy lm`")
    print(f"to load it: {how}")
    return 0
