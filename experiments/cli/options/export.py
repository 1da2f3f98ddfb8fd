"""The options of ``codeclab export``."""

import argparse

from codeclab.experiments.cli.options.shared import add_imports, run_name
from codeclab.experiments.runs.export_names import FILES


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab export``."""
    parser = argparse.ArgumentParser(
        prog="codeclab export",
        description="Write a trained codec as a folder of its own. The format codeclab is for keeping or sharing the "
        "codec; with transformers, Hugging Face's EncodecModel or DacModel gives the same codes at every bitrate. The "
        "formats onnx, openvino and torch-export are graphs for programs without codeclab, which are loaded again, "
        "compared with the codec and timed before anything is written. The run is not changed.",
        epilog="transformers supports SEANetEncoder + ResidualVQ + SEANetDecoder (EncodecModel) and DACEncoder + "
        "FactorizedVQ + DACDecoder (DacModel); for any other codec, the error names the obstacle. "
        "onnx and openvino need pip install 'codeclab[engines]'. "
        "Example: codeclab export runs/NAME my-codec --format transformers",
    )
    parser.add_argument("run", type=run_name, metavar="RUN", help="a run's folder (runs/NAME), or a codec's")
    parser.add_argument("directory", metavar="DIR", help="folder to write, created if it does not exist")
    parser.add_argument("--format", choices=tuple(FILES), default="codeclab", help="target format (default: codeclab)")
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits (format codeclab only)")
    parser.add_argument(
        "--overwrite", action="store_true", help="write into DIR even if it holds other files than such an export"
    )
    add_imports(parser)
    return parser
