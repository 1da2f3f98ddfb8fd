"""Names of engines, of formats, and of the files of an export."""

from typing import Literal

EngineName = Literal["onnxruntime", "openvino"]

ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")

Format = Literal["onnx", "openvino", "torch-export"]

SUFFIXES: dict[Format, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "torch-export": (".pt2",)}
"""Suffixes of a graph's files; the first file is the one to load."""

GRAPHS = {
    "encoder": ("audio [B, C, N]", "latent [B, D, T]"),
    "quantizer": ("latent [B, D, T]", "codes int64 [B, K, T]"),
    "dequantizer": ("codes int64 [B, K, T]", "latent [B, D, T]"),
    "decoder": ("latent [B, D, T]", "audio [B, C, N]"),
}
"""Graphs of an export, in the order in which audio passes through them: what each takes and gives."""

CONFIG = "config.json"

MARK = "graph_format"
"""Key of ``config.json`` that only an export has."""


def exported_files(form: Format) -> tuple[str, ...]:
    """Names of an export's files."""
    return (*(f"{graph}{suffix}" for graph in GRAPHS for suffix in SUFFIXES[form]), CONFIG)
