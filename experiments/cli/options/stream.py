"""The options of ``codeclab stream``."""

import argparse

from codeclab.codecs.entropy.live_settings import LiveSettings
from codeclab.codecs.io.pcm_formats import FORMATS
from codeclab.experiments.cli.options.code_files import add_precision
from codeclab.experiments.cli.options.shared import add_codec, add_imports

CHUNK_SECONDS = LiveSettings.chunk_seconds


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab stream``."""
    parser = argparse.ArgumentParser(
        prog="codeclab stream",
        description="Code raw PCM (interleaved, at the codec's sampling rate and channels) from standard input as it "
        "arrives: encode it to .clc chunks, decode these, or do both.",
        epilog="Example: arecord -t raw -f S16_LE -r 24000 | codeclab stream encode --codec runs/NAME --bitrate 6 | "
        "codeclab stream decode --codec runs/NAME | aplay -t raw -f S16_LE -r 24000",
    )
    parser.add_argument("direction", choices=("encode", "decode", "both"))
    add_codec(parser)
    parser.add_argument("--bitrate", type=float, metavar="KBPS", help="kbps (default: the codec's highest)")
    parser.add_argument(
        "--format", default="s16le", choices=tuple(FORMATS), help="format of PCM samples (default: s16le)"
    )
    parser.add_argument(
        "--lookahead",
        action="store_true",
        help="allow a codec that is not causal, delayed by as much as it looks ahead",
    )
    parser.add_argument("--entropy", default="none", metavar="CODER", help="none, static, prior or lm (default: none)")
    parser.add_argument(
        "--language-model",
        metavar="FOLDER",
        help="output of fit-lm (default: in the codec's folder)",
    )
    parser.add_argument(
        "--chunk",
        type=float,
        default=CHUNK_SECONDS,
        metavar="S",
        help=f"seconds per chunk, each of which costs 8 bytes (default: {CHUNK_SECONDS:g}; 0: as in a file)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    add_precision(parser)
    add_imports(parser)
    return parser
