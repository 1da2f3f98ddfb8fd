"""The options of ``codeclab export``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, run_name
from codeclab.experiments.runs.export_names import FILES


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab export``."""
    parser = argparse.ArgumentParser(
        prog="codeclab export",
        description="Write a trained codec as a folder of its own: to keep or to pass on (codeclab), for "
        "Hugging Face's transformers, whose EncodecModel or DacModel then codes with it: the same codes "
        "at every bitrate, or as graphs for programs without codeclab (onnx, openvino, torch-export): they are loaded "
        "again, compared with the codec and timed before anything is written. The run stays as it is.",
        epilog="transformers knows SEANetEncoder + ResidualVQ + SEANetDecoder (EncodecModel) and DACEncoder + "
        "FactorizedVQ + DACDecoder (DacModel); of another codec, this says what stands in the way. "
        "onnx and openvino need pip install 'codeclab[engines]'. "
        "Example: codeclab export runs/NAME my-codec --format transformers",
    )
    parser.add_argument("run", type=run_name, metavar="RUN", help="a run's folder (runs/NAME), or a codec's")
    parser.add_argument("directory", metavar="DIR", help="the folder to write; made where it is missing")
    parser.add_argument("--format", choices=tuple(FILES), default="codeclab", help="for whom (default: codeclab)")
    parser.add_argument("--half", action="store_true", help="numbers in half the bytes (for codeclab)")
    parser.add_argument(
        "--overwrite", action="store_true", help="write into DIR even if it holds anything but such an export"
    )
    add_imports(parser)
    return parser
