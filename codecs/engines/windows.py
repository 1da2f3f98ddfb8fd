"""Long inputs through a graph, which has no state, window after window."""

from torch import Tensor

from codeclab.codecs.engines.formats import Run
from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.time_major import joined


class Windows(LayerStream):
    """A graph over a long input, window after window.

    Args:
        run: the graph.
        out_channels: of its output.
        steps_in: time steps of the input for each frame.
        steps_out: and of the output.
        past: frames before one that it depends on.
        future: and after it.
    """

    def __init__(self, run: Run, out_channels: int, steps_in: int, steps_out: int, past: int, future: int) -> None:
        self._run, self._out_channels = run, out_channels
        self._steps_in, self._steps_out = steps_in, steps_out
        self._future = future
        # Layers that reflect see at an edge what lies as far within as they reach beyond it, and what that depends on.
        self._margin = past + future + 1
        self._held: Tensor | None = None
        self._start = 0  # frame at which what is held begins
        self._given = 0  # frames that have been given out

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        held = joined(self._held, x)
        whole = self._start + held.shape[-1] // self._steps_in
        ready = -(-held.shape[-1] // self._steps_in) + self._start if last else whole - self._future
        if ready <= self._given or not (last or self._given or whole > self._margin):
            self._held = held
            return x.new_zeros(x.shape[0], self._out_channels, 0)
        window = held if last else held[..., : (whole - self._start) * self._steps_in]
        output = self._run(window)
        first, end = ((frame - self._start) * self._steps_out for frame in (self._given, ready))
        self._given, start = ready, max(ready - self._margin, 0)
        self._held, self._start = held[..., (start - self._start) * self._steps_in :].clone(), start
        return output[..., first : None if last else end]
