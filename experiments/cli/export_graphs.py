"""What ``codeclab export`` says of a codec's graphs."""

from pathlib import Path

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.folder import export_graphs
from codeclab.codecs.engines.names import SUFFIXES, Format

LOADERS: dict[Format, str] = {
    "onnx": 'onnxruntime.InferenceSession("{}")',
    "openvino": 'openvino.compile_model("{}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})',
    "torch-export": 'torch.export.load("{}").module()',
}


def write_graphs(codec: Codec, directory: Path, form: Format) -> tuple[str, list[str]]:
    """Write a codec's graphs, compared with the codec.

    Args:
        codec: to be exported.
        directory: to be written to.
        form: of the files.

    Returns:
        how to load one, and what was found, a sentence each.

    Raises:
        ValueError: the codec cannot be exported so; nothing was written.
    """
    agreement, speed = export_graphs(codec, directory, form)
    notes = [
        f"{100 * agreement.equal:.4g} % of {agreement.codes:,} codes are codeclab's; audio decoded from the same codes "
        f"differs by at most {agreement.apart:.1e}, at an rms of {agreement.rms:.2g}",
        f"on one thread of this machine it encodes {speed.encode:.1f} and decodes {speed.decode:.1f} times real time "
        f"(codeclab itself: {speed.own_encode:.1f} and {speed.own_decode:.1f})",
    ]
    if codec.segment is not None or codec.normalize:
        notes.append("cutting into segments, overlap-add and levels are up to the caller: config.json has the numbers")
    return LOADERS[form].format(directory / f"encoder{SUFFIXES[form][0]}"), notes
