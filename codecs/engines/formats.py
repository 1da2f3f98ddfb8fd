"""Graphs written as files of ONNX, OpenVINO and ``torch.export``, and loaded as functions."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from codeclab.codecs.engines.names import Format
from codeclab.codecs.layers.graph_lstm import LSTM

Run = Callable[[Tensor], Tensor]
"""A graph as a function from one tensor to one."""

PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "torch-export": (),
}
"""Packages that write and run each format."""


def check_packages(form: Format) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        ValueError: packages are missing; the message names them.
    """
    missing = [package for package in PACKAGES[form] if find_spec(package) is None]
    if missing:
        raise ValueError(f"{form} needs {' and '.join(missing)}: pip install 'codeclab[engines]'")


def write_graph(program: ExportedProgram, form: Format, stem: Path) -> None:
    """Write a graph.

    Args:
        program: graph from one tensor, ``input`` in the file, to one, ``output``.
        form: format of the files.
        stem: path of the files without suffix.
    """
    if form == "torch-export":
        with _lstm_of_torch(program):
            torch.export.save(program, f"{stem}.pt2")
        return
    if form == "onnx":
        _write_onnx(program, Path(f"{stem}.onnx"))
        return
    import openvino

    between = Path(f"{stem}.between.onnx")
    _write_onnx(program, between)
    openvino.save_model(openvino.Core().read_model(between), f"{stem}.xml", compress_to_fp16=False)
    between.unlink()


def load_graph(form: Format, stem: Path, threads: int) -> Run:
    """Load a graph's file as a function of CPU tensors.

    Args:
        form: format of the files.
        stem: path of the files without suffix.
        threads: number of threads of ONNX Runtime or OpenVINO; torch has its own setting.
    """
    if form == "torch-export":
        with _quiet():
            module = torch.export.load(f"{stem}.pt2").module()
        return lambda x: module(x)
    if form == "onnx":
        return _onnxruntime(Path(f"{stem}.onnx"), threads)
    return _openvino(Path(f"{stem}.xml"), threads)


def _write_onnx(program: ExportedProgram, path: Path) -> None:
    from onnxscript.function_libs.torch_lib.ops.core import aten_lstm

    with _quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=["input"],
            output_names=["output"],
            custom_translation_table={LSTM: aten_lstm},
        )
    assert made is not None  # with dynamo
    made.save(path)


def _onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["output"], {"input": x.contiguous().numpy()})[0])


def _openvino(path: Path, threads: int) -> Run:
    import openvino

    # By default, OpenVINO computes in bfloat16 on processors that support it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda x: torch.from_numpy(compiled(x.contiguous().numpy())[0].copy())


@contextmanager
def _lstm_of_torch(program: ExportedProgram) -> Iterator[None]:
    """A context in which the program has torch's own LSTM instead of our operator, which other programs do not have."""
    ours, theirs = LSTM, torch.ops.aten.lstm.input
    nodes = [node for node in program.graph.nodes if node.target is ours]
    for node in nodes:
        node.target = theirs
    try:
        yield
    finally:
        for node in nodes:
            node.target = ours


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without torch's warnings about its own deprecated calls and about optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
