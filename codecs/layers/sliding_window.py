"""Streams through layers that look at windows of their input, as convolutions do."""

from collections.abc import Callable

from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.time_major import activate, convolution, empty


class SlidingWindow(LayerStream):
    """A layer whose output number ``t`` depends on one window of its padded input, ``stride`` after the last.

    With reflection what stands before the first sample is made of those after it, which have to be there first.

    Args:
        function: from ``[B, C, n]``, at least a window, to ``[B, C', (n - window) // stride + 1]``.
        out_channels: ``C'``.
        window: samples seen.
        stride: samples from one window to the next.
        left: samples padded before the first.
        right: samples padded after the last, by the length of the whole input.
        most_right: the most that ``right`` gives.
        mode: ``reflect`` or ``constant`` (zeros).
        whole: in place of all this, for an input too short to be reflected.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        out_channels: int,
        window: int,
        stride: int,
        left: int,
        right: Callable[[int], int],
        most_right: int,
        mode: str,
        whole: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.function, self.out_channels = function, out_channels
        self.window, self.stride = window, stride
        self.left, self.right, self.most_right = left, right, most_right
        self.mode, self.whole = mode, whole
        self.needed = max(left, most_right) + 1 if mode == "reflect" and max(left, most_right) else 0
        self.activation: Callable[[Tensor], Tensor] | None = None  # of the input, before anything else
        self.length = 0
        self.started = False
        self.ahead = 0
        self.held: Tensor | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        self.length += x.shape[-1]
        if not self.started and self.length < self.needed:
            self.held = self._extended(x, 0, 0)
            return self._short(self.held) if last else self._nothing(x)
        held = self._extended(x, 0 if self.started else self.left, self.right(self.length) if last else 0)
        self.started = True
        count = max((held.shape[-1] - self.ahead - self.window) // self.stride + 1, 0)
        output = self.function(held[..., self.ahead :]) if count else self._nothing(x)
        # Where the input is reflected at its end, samples before the next window may still be needed.
        self.ahead += count * self.stride
        spare = min(self.ahead, max(held.shape[-1] - (self.most_right + 1), 0))
        self.held, self.ahead = held[..., spare:].clone(), self.ahead - spare
        return output

    def _extended(self, x: Tensor, left: int, right: int) -> Tensor:
        """What is held and then ``x``, padded on both sides."""
        before = 0 if self.held is None else self.held.shape[-1]
        if self.activation is None and not (before or left or right):
            return x
        extended = empty(x, left + before + x.shape[-1] + right)
        end = extended.shape[-1] - right
        if self.held is not None:
            extended[..., left : left + before] = self.held
        activate(self.activation, x, extended[..., left + before : end])
        if self.mode == "reflect":
            extended[..., :left] = extended[..., left + 1 : 2 * left + 1].flip(-1)
            extended[..., end:] = extended[..., end - right - 1 : end - 1].flip(-1)
        else:
            extended[..., :left] = 0
            extended[..., end:] = 0
        return extended

    def _short(self, x: Tensor) -> Tensor:
        return self.whole(x) if self.whole is not None and x.shape[-1] else self._nothing(x)

    def _nothing(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], self.out_channels, 0)


def convolution_stream(
    module: nn.Conv1d,
    left: int,
    right: Callable[[int], int],
    mode: str,
    most_right: int = 0,
    whole: Callable[[Tensor], Tensor] | None = None,
) -> SlidingWindow:
    """A stream through a convolution that is padded by ``left`` and ``right`` in place of its own padding."""
    (stride,), (dilation,), (taps,) = module.stride, module.dilation, module.kernel_size
    window = (taps - 1) * dilation + 1
    sizes = module.out_channels, window, stride
    return SlidingWindow(convolution(module), *sizes, left, right, most_right, mode, whole)
