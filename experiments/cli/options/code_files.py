"""The options of ``codeclab encode``, ``decode`` and ``reconstruct``."""

import argparse

from codeclab.codecs.engines.names import ENGINES
from codeclab.experiments.cli.options.shared import add_codec, add_imports

SUMMARIES = {
    "encode": ("Code an audio file, or every audio file in a folder, into small files.", "speech.wav speech.clc"),
    "decode": ("Decode a .clc or .ecdc file, or every such file in a folder, into audio.", "speech.clc speech.wav"),
    "reconstruct": ("Encode and decode audio, to hear what a codec makes of it.", "album/ album-6kbps/"),
}

FORMAT = "format of the files in an output folder"


def make_parser(command: str) -> argparse.ArgumentParser:
    """The options of ``codeclab encode``, ``decode`` or ``reconstruct``."""
    summary, example = SUMMARIES[command]
    parser = argparse.ArgumentParser(
        prog=f"codeclab {command}",
        description=summary,
        epilog=f"Example: codeclab {command} {example} --codec runs/NAME"
        + ("" if command == "decode" else " --bitrate 6"),
    )
    parser.set_defaults(command=command, bitrate=None, entropy="none", language_model=None)
    parser.add_argument("input", metavar="IN", help="a file or a folder")
    parser.add_argument("output", metavar="OUT", help="a file, or a folder if IN is one")
    add_codec(parser)
    if command != "decode":
        parser.add_argument("--bitrate", type=float, metavar="KBPS", help="kbps (default: the codec's highest)")
    if command == "encode":
        parser.add_argument(
            "--entropy", default="none", metavar="CODER", help="none, static, prior or lm (default: none, codes packed)"
        )
        parser.add_argument("--format", default="clc", choices=("clc", "ecdc"), help=f"{FORMAT} (default: clc)")
    else:
        parser.add_argument("--format", default="wav", metavar="SUFFIX", help=f"{FORMAT} (default: wav)")
    if command != "reconstruct":
        parser.add_argument(
            "--language-model",
            metavar="PATH",
            help="folder written by codeclab fit-lm; for .ecdc also a file of the encodec package "
            "(encodec_lm_24khz-….th) (default: language_model in the codec's folder)",
        )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes for a folder (default: one per core)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--engine",
        default="torch",
        choices=("torch", *ENGINES),
        help="library that computes the networks; onnxruntime and openvino need pip install 'codeclab[engines]', take "
        "up to a minute to start, and change some codes (default: torch)",
    )
    add_precision(parser)
    add_imports(parser)
    return parser


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision``."""
    parser.add_argument(
        "--precision",
        default="f32",
        choices=("f32", "bf16"),
        help="precision of the networks; bf16 is faster on processors that support it, and changes some codes "
        "(default: f32)",
    )
