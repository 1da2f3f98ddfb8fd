"""Streams through layers whose outputs depend on windows of their input, such as convolutions."""

from collections.abc import Callable

from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.time_major import activate, convolution, empty


class SlidingWindow(LayerStream):
    """A stream through a layer whose output step ``t`` depends on the window of the padded input at ``t * stride``.

    The state is the input that later windows still need: ``held`` begins with it, and the next window begins ``ahead``
    samples into it. With reflection, the padding before the first sample consists of samples after it, so that the
    stream starts only when it has ``needed`` samples.

    Args:
        function: layer without padding, from ``[B, C, n]``, at least a window, to
            ``[B, C', (n - window) // stride + 1]``.
        out_channels: output channels ``C'``.
        window: samples in a window.
        stride: samples from one window to the next.
        left: samples of padding before the first sample.
        right: function from the length of the whole input to the samples of padding after the last sample.
        most_right: upper limit of ``right``.
        mode: padding mode, ``reflect`` or ``constant`` (zeros).
        whole: function for a whole input that is too short to be reflected; None returns nothing for it.
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
        self.activation: Callable[[Tensor], Tensor] | None = None  # applied to the input first; see ``Chain``
        self.length = 0
        self.started = False
        self.ahead = 0
        self.held: Tensor | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        self.length += x.shape[-1]
        if not self.started and self.length < self.needed:
            self.held = self._extended(x, 0, 0)
            whole = self.whole if last and self.length else None
            return self._nothing(x) if whole is None else whole(self.held)
        # Padding goes before the first piece that is used and after the last one; pieces between have none.
        held = self._extended(x, 0 if self.started else self.left, self.right(self.length) if last else 0)
        self.started = True
        count = max((held.shape[-1] - self.ahead - self.window) // self.stride + 1, 0)
        output = self.function(held[..., self.ahead :]) if count else self._nothing(x)
        # Drop what no later window needs, but keep ``most_right + 1`` samples, which the padding at the end may
        # reflect.
        self.ahead += count * self.stride
        spare = min(self.ahead, max(held.shape[-1] - (self.most_right + 1), 0))
        self.held, self.ahead = held[..., spare:].clone(), self.ahead - spare
        return output

    def _extended(self, x: Tensor, left: int, right: int) -> Tensor:
        """The held input followed by ``x``, padded on both sides."""
        n_held = 0 if self.held is None else self.held.shape[-1]
        if self.activation is None and not (n_held or left or right):
            return x
        extended = empty(x, left + n_held + x.shape[-1] + right)
        end = extended.shape[-1] - right
        if self.held is not None:
            extended[..., left : left + n_held] = self.held
        activate(self.activation, x, extended[..., left + n_held : end])
        if self.mode == "reflect":
            # The samples at the ends are mirrors, which are not repeated: hence ``+ 1`` and ``- 1``.
            extended[..., :left] = extended[..., left + 1 : 2 * left + 1].flip(-1)
            extended[..., end:] = extended[..., end - right - 1 : end - 1].flip(-1)
        else:
            extended[..., :left] = 0
            extended[..., end:] = 0
        return extended

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
    """A stream through a convolution, padded by ``left`` and ``right`` instead of by itself; see ``SlidingWindow``."""
    (stride,), (dilation,), (taps,) = module.stride, module.dilation, module.kernel_size
    window = (taps - 1) * dilation + 1
    sizes = module.out_channels, window, stride
    return SlidingWindow(convolution(module), *sizes, left, right, most_right, mode, whole)
