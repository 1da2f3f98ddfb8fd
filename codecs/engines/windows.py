"""Streams through a graph, which has no state, in overlapping windows."""

from torch import Tensor

from codeclab.codecs.engines.formats import Run
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.time_major import joined


class Windows(LayerStream):
    """A stream through a graph, in overlapping windows of its input.

    Args:
        run: graph to run.
        out_channels: channels of the output.
        steps_in: time steps of the input per frame.
        steps_out: time steps of the output per frame.
        past: number of earlier frames on which a frame depends.
        future: number of later frames on which a frame depends.
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
        """See ``LayerStream``."""
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
