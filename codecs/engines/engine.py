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
from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.layers.time_major import joined
from codeclab.codecs.receptive_field import ReceptiveField, receptive_field

FORMATS: dict[EngineName, Format] = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The format that each engine reads."""


class GraphPart(nn.Module):
    """A part of a codec, or a run of its layers, that an engine computes.

    Args:
        run: graph of the part.
        part: part from which the graph was made.
        out_channels: channels of the output.
    """

    def __init__(self, run: Run, part: Encoder | Decoder, out_channels: int) -> None:
        super().__init__()
        self._run, self._out_channels = run, out_channels
        with torch.inference_mode(False), torch.enable_grad():  # the receptive field is measured by gradients
            self._field: ReceptiveField = receptive_field(part)
        self._hop = part.hop_length
        self._per_frame = (part.hop_length, 1) if isinstance(part, Encoder) else (1, part.hop_length)
        self._name = type(part).__name__

    def forward(self, x: Tensor) -> Tensor:
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
        return _Windows(self._run, self._out_channels, *self._per_frame, past, future)


class _Windows(LayerStream):
    """A stream through a graph, which has no state, in overlapping windows of its input.

    A frame is ``steps_in`` time steps of the input and ``steps_out`` of the output, and depends on ``past`` frames
    before it and ``future`` ones after it.
    """

    def __init__(self, run: Run, out_channels: int, steps_in: int, steps_out: int, past: int, future: int) -> None:
        self._run, self._out_channels = run, out_channels
        self._steps_in, self._steps_out = steps_in, steps_out
        self._future = future
        # Layers with reflection padding read, near an edge, samples as far inside the window as they reach beyond it. A
        # frame is right only if it is further from the edge than these and all that they depend on.
        self._margin = past + future + 1
        self._held: Tensor | None = None
        self._start = 0  # frame at which the held input begins
        self._returned = 0  # number of frames that have been returned

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        held = joined(self._held, x)
        whole = self._start + held.shape[-1] // self._steps_in
        ready = -(-held.shape[-1] // self._steps_in) + self._start if last else whole - self._future
        if ready <= self._returned or not (last or self._returned or whole > self._margin):
            self._held = held
            return x.new_zeros(x.shape[0], self._out_channels, 0)
        window = held if last else held[..., : (whole - self._start) * self._steps_in]
        output = self._run(window)
        first, end = ((frame - self._start) * self._steps_out for frame in (self._returned, ready))
        self._returned, start = ready, max(ready - self._margin, 0)
        self._held, self._start = held[..., (start - self._start) * self._steps_in :].clone(), start
        return output[..., first : None if last else end]


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
        self._made: dict[nn.Module, nn.Sequential] = {}

    def end(self, part: Encoder | Decoder) -> nn.Sequential:
        """The encoder or the decoder on this engine, with the weights that it had at its first use.

        Raises:
            ValueError: a graph cannot hold the part; the message gives torch's reason.
        """
        if part not in self._made:
            self._made[part] = engine_part(part, self._name)
        return self._made[part]


def engine_part(part: Encoder | Decoder, engine: EngineName) -> nn.Sequential:
    """A part on an engine, with its current weights and torch's number of threads; torch keeps its recurrent layers.

    Raises:
        ValueError: a graph cannot hold the part.
    """
    return nn.Sequential(*(_run_of(run, engine) if isinstance(run, (Encoder, Decoder)) else run for run in _runs(part)))


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
