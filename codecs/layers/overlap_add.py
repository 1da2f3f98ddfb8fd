"""Streams through layers whose outputs overlap, such as transposed convolutions."""

from collections.abc import Callable

from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.time_major import in_compute_dtype, transposed_convolution


class OverlapAdd(LayerStream):
    """A stream through a layer whose input step ``t`` adds to an output window that begins at ``t * stride``.

    An output sample is complete when no later window reaches it. The state is the sum in the last ``window - stride``
    samples, which later windows do reach.

    Args:
        function: layer without its bias, from ``[B, C, n]`` to ``[B, C', (n - 1) * stride + window]``.
        out_channels: output channels ``C'``.
        window: samples that one input step adds to, at least ``stride``.
        stride: samples from one window to the next.
        left: samples cut from the beginning of the sum.
        right: samples cut from the end of the sum, at most ``window - stride``.
        finish: function applied to complete samples, such as adding the bias.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        out_channels: int,
        window: int,
        stride: int,
        left: int,
        right: int,
        finish: Callable[[Tensor], Tensor],
    ) -> None:
        self.function, self.out_channels = function, out_channels
        self.window, self.stride = window, stride
        self.left, self.right, self.finish = left, right, finish
        self.tail: Tensor | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        if self.tail is None:
            self.tail = x.new_zeros(x.shape[0], self.out_channels, self.window - self.stride)
        added = self.tail
        if x.shape[-1]:
            # The windows of this piece begin where those of the last one ended to begin: what these added beyond is the
            # tail, and lies over the first samples here.
            added = self.function(x)
            added[..., : self.tail.shape[-1]] += self.tail
        # The next piece's first window begins at ``ready``; samples before it are complete.
        ready = x.shape[-1] * self.stride
        self.tail = added[..., ready:].clone()
        output = added[..., : added.shape[-1] - self.right] if last else added[..., :ready]
        # The first pieces may give fewer samples than are cut on the left: ``left`` counts those still to be cut.
        cut = min(self.left, output.shape[-1])
        self.left -= cut
        return self.finish(output[..., cut:])


def transposed_stream(module: nn.ConvTranspose1d, left: int, right: int) -> OverlapAdd:
    """A stream through a transposed convolution, with ``left`` and ``right`` samples cut from its output."""
    # Overlapping windows would add a bias several times: it is added to complete samples.
    bias = module.bias
    (stride,), (taps,) = module.stride, module.kernel_size
    return OverlapAdd(
        transposed_convolution(module),
        *(module.out_channels, taps, stride, left, right),
        lambda y: y if bias is None else y.add_(in_compute_dtype(bias)[:, None]),
    )
