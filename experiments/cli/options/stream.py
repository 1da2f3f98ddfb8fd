"""The options of ``codeclab stream``."""

import argparse
from typing import Any

import numpy as np

from codeclab.experiments.cli.options.code_files import add_precision
from codeclab.experiments.cli.options.shared import add_codec, add_imports

CHUNK_SECONDS = 0.2
"""Of a chunk in a live stream: what it delays, against its eight bytes."""


FORMATS: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
"""What raw PCM is made of, by ffmpeg's names."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab stream``."""
    parser = argparse.ArgumentParser(
        prog="codeclab stream",
        description="Put raw PCM (interleaved, at the codec's sampling rate and channels) from standard input through "
        "a codec while it comes: encode to .clc chunks, decode these, or both.",
        epilog="Example: arecord -t raw -f S16_LE -r 24000 | codeclab stream encode --codec runs/NAME --bitrate 6 | "
        "codeclab stream decode --codec runs/NAME | aplay -t raw -f S16_LE -r 24000",
    )
    parser.add_argument("direction", choices=("encode", "decode", "both"))
    add_codec(parser)
    parser.add_argument("--bitrate", type=float, metavar="KBPS", help="kbps (default: the codec's highest)")
    parser.add_argument("--format", default="s16le", choices=tuple(FORMATS), help="of PCM samples (default: s16le)")
    parser.add_argument(
        "--lookahead", action="store_true", help="let a codec that is not causal be late by what it sees of the future"
    )
    parser.add_argument("--entropy", default="none", metavar="CODER", help="none, static, prior or lm (default: none)")
    parser.add_argument(
        "--language-model", metavar="FOLDER", help="of codeclab fit-lm --output (default: that in the codec's folder)"
    )
    parser.add_argument(
        "--chunk",
        type=float,
        default=CHUNK_SECONDS,
        metavar="S",
        help=f"seconds that are sent together, at 8 bytes more each (default: {CHUNK_SECONDS:g}; 0: as in a file)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    add_precision(parser)
    add_imports(parser)
    return parser
