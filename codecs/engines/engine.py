"""Encoder and decoder of a codec, run by ONNX Runtime or OpenVINO instead of torch.

A graph has no state. Long recordings go through it in overlapping windows. Outputs that depend on samples outside of a
window are dropped, so that the others equal those of the whole recording. A recurrent layer depends on the whole past;
it stays torch's own, between the graphs of the layers before and after it.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.formats import Run, check_packages, load_graph, write_graph
from codeclab.codecs.engines.graphs import example_input, make_graph
from codeclab.codecs.engines.names import EngineName, Format
from codeclab.codecs.engines.windows import Windows
from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.layers.streaming import Chain, layer_stream
from codeclab.codecs.receptive_field import ReceptiveField, receptive_field

FORMATS: dict[EngineName, Format] = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The format that each engine reads."""


class GraphPart:
    """A part of a codec, or a run of its layers, that an engine computes.

    Args:
        run: graph of the part.
        part: part from which the graph was made.
        out_channels: channels of the output.
    """

    def __init__(self, run: Run, part: Encoder | Decoder, out_channels: int) -> None:
        self._run, self._out_channels = run, out_channels
        with torch.inference_mode(False), torch.enable_grad():  # the receptive field is measured by gradients
            self._field: ReceptiveField = receptive_field(part)
        self._hop = part.hop_length
        self._per_frame = (part.hop_length, 1) if isinstance(part, Encoder) else (1, part.hop_length)
        self._name = type(part).__name__

    def __call__(self, x: Tensor) -> Tensor:
        """A whole input ``[B, C, n]`` to its output ``[B, C', m]``."""
        return self._run(x)

    def stream(self) -> LayerStream:
        """A stream through the part, by windows.

        Raises:
            NotStreamableError: a layer depends on the whole recording.
        """
        if self._field.unbounded:
            raise NotStreamableError(f"{self._name} needs a whole recording at once")
        past, future = (-(-samples // self._hop) for samples in (self._field.samples_past, self._field.samples_future))
        return Windows(self._run, self._out_channels, *self._per_frame, past, future)


class EnginePart:
    """An encoder or a decoder computed by an engine, except for its recurrent layers, which torch computes.

    Args:
        layers: parts in order.
    """

    def __init__(self, layers: list[GraphPart | nn.Module]) -> None:
        self._layers = layers

    def __call__(self, x: Tensor) -> Tensor:
        """A whole input ``[B, C, n]`` to its output ``[B, C', m]``."""
        for layer in self._layers:
            x = layer(x)
        return x

    def stream(self) -> LayerStream:
        """A stream through the layers.

        Raises:
            NotStreamableError: a layer cannot be streamed.
        """
        return Chain([layer_stream(layer) for layer in self._layers])


class Engine:
    """Encoder and decoder of a codec on an engine, each created at its first use; see ``Codec.to_engine``.

    Args:
        codec: codec on the CPU, in float32.
        name: name of the engine, ``onnxruntime`` or ``openvino``.

    Raises:
        ValueError: the engine is unknown, its packages are missing, or the codec is on a GPU or in bfloat16.
    """

    def __init__(self, codec: Codec, name: EngineName) -> None:
        if name not in FORMATS:
            raise ValueError(f"no engine is called {name!r}; there are: torch, {', '.join(FORMATS)}")
        if codec.bf16 or next(codec.parameters()).device.type != "cpu":
            raise ValueError(
                f"{name} computes in float32 on the CPU; use --engine torch for bfloat16 and other devices"
            )
        check_packages(FORMATS[name])
        self._name = name
        self._made: dict[nn.Module, EnginePart] = {}

    def end(self, part: Encoder | Decoder) -> EnginePart:
        """The encoder or the decoder on this engine, with the weights that it had at its first use.

        Raises:
            ValueError: a graph cannot hold the part; the message gives torch's reason.
        """
        if part not in self._made:
            self._made[part] = engine_part(part, self._name)
        return self._made[part]


def engine_part(part: Encoder | Decoder, engine: EngineName) -> EnginePart:
    """A part of a codec on an engine, with its current weights.

    Args:
        part: encoder or decoder on the CPU.
        engine: name of the engine, which uses as many threads as torch does now.

    Raises:
        ValueError: a graph cannot hold the part.
    """
    return EnginePart([_run_of(run, engine) if isinstance(run, (Encoder, Decoder)) else run for run in _runs(part)])


def _run_of(part: Encoder | Decoder, engine: EngineName) -> GraphPart:
    example = example_input(part)
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "part"
        write_graph(make_graph(part, example), FORMATS[engine], stem)
        run = load_graph(FORMATS[engine], stem, torch.get_num_threads())
    return GraphPart(run, part, run(example).shape[1])


class _EncoderRun(Encoder):
    """Some of an encoder's layers."""

    def __init__(self, layers: nn.Sequential, channels: int, hop_length: int) -> None:
        super().__init__()
        self.layers, self.channels, self.hop_length = layers, channels, hop_length

    def forward(self, audio: Tensor) -> Tensor:
        return self.layers(audio)


class _DecoderRun(Decoder):
    """Some of a decoder's layers."""

    def __init__(self, layers: nn.Sequential, dimension: int, hop_length: int) -> None:
        super().__init__()
        self.layers, self.dimension, self.hop_length = layers, dimension, hop_length

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent)


def _runs(part: Encoder | Decoder) -> list[nn.Module]:
    """The part itself, or if some of its layers are recurrent, these and the runs of layers between them."""
    layers = getattr(part, "layers", None)
    if not any(isinstance(module, nn.RNNBase) for module in part.modules()) or not isinstance(layers, nn.Sequential):
        return [part]
    runs: list[nn.Module] = []
    waiting: list[nn.Module] = []
    for layer in layers:
        if any(isinstance(module, nn.RNNBase) for module in layer.modules()):
            runs += [_run(part, waiting), layer] if waiting else [layer]
            waiting = []
        else:
            waiting.append(layer)
    return [*runs, _run(part, waiting)] if waiting else runs


def _run(part: Encoder | Decoder, layers: list[nn.Module]) -> nn.Module:
    run = nn.Sequential(*layers)
    convolutions = [module for module in run.modules() if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d))]
    channels = convolutions[0].in_channels
    changes = any(max(convolution.stride) > 1 for convolution in convolutions)
    hop_length = part.hop_length if changes else 1
    return (_EncoderRun if isinstance(part, Encoder) else _DecoderRun)(run, channels, hop_length)
