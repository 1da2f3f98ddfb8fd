"""Layers that take their input in pieces of any length and give what they would give of the whole.

A module that is part of a stream says how with a method ``stream()``, which returns a ``LayerStream``: the same
weights, a state of its own. Composite modules make theirs of those of their layers (``layer_stream``, ``Chain``,
``Sum``); layers that look at windows or overlap their output need ``SlidingWindow`` and ``OverlapAdd`` alone. Whole
recordings are coded by the same streams, in one piece or a few (``codecs.blocks``): weight norm is folded once, and
layers are computed as ``time_major`` has it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.activation import Snake
from codeclab.codecs.layers.time_major import (
    Product,
    activate,
    activated,
    convolution,
    detached,
    empty,
    joined,
    transposed_convolution,
)

POINTWISE = (Snake, nn.ELU, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Identity)
"""Modules whose output at one time depends on their input at that time alone."""


class NotStreamableError(ValueError):
    """Of a codec that cannot be streamed; the message says what stands in the way."""


class LayerStream(ABC):
    """One stream through one layer: its state between pieces, of bounded size.

    State is cloned: a view of the last steps would keep all of their piece in memory.
    """

    @abstractmethod
    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """What is ready after another piece.

        Args:
            x: ``[B, C, n]``; ``n`` may be 0.
            last: whether the input ends with this piece.

        Returns:
            ``[B, C', m]``, the next outputs; ``m`` may be 0.
        """


def pushed_whole(module: nn.Module, x: Tensor) -> Tensor:
    """What a module makes of a whole input ``[B, C, n]``: by a stream where it has one, else by calling it."""
    try:
        stream = layer_stream(module)
    except NotStreamableError:
        return module(x)
    return stream.push(x, last=True)


def layer_stream(module: nn.Module) -> LayerStream:
    """A new stream through a module.

    Args:
        module: one with a method ``stream()``, a ``Sequential`` of such, a pointwise layer or a plain convolution.

    Raises:
        NotStreamableError: the module says no way to stream it.
    """
    if isinstance(module, nn.Sequential):
        return Chain([layer_stream(layer) for layer in module])
    if callable(own := getattr(module, "stream", None)):
        return own()
    if isinstance(module, POINTWISE):
        return Pointwise(module)
    if isinstance(module, nn.Conv1d):
        padding = int(module.padding[0])
        return convolution_stream(module, padding, lambda length: padding, "constant")
    if isinstance(module, nn.ConvTranspose1d):
        padding, surplus = int(module.padding[0]), int(module.output_padding[0])
        return transposed_stream(module, padding, padding - surplus)
    raise NotStreamableError(
        f"{type(module).__name__} does not say how it is streamed; a module does by a method stream() that returns a "
        "LayerStream (codeclab.codecs.layers.streaming)"
    )


class Pointwise(LayerStream):
    """A layer without memory.

    Args:
        function: from ``[B, C, n]`` to ``[B, C', n]``, each time step by itself.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        return activated(self.function, x)


class WholeOnly(LayerStream):
    """A layer that has to see all of its input at once.

    Args:
        layer: from ``[B, C, n]`` to ``[B, C', n']``.
        reason: why, for whoever streams it.
    """

    def __init__(self, layer: Callable[[Tensor], Tensor], reason: str) -> None:
        self.layer, self.reason = layer, reason
        self.begun = False

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``.

        Raises:
            NotStreamableError: the input comes in pieces.
        """
        if self.begun or not last:
            raise NotStreamableError(self.reason)
        self.begun = True
        return self.layer(x)


class Chain(LayerStream):
    """Layers one after another.

    Args:
        layers: in order.
    """

    def __init__(self, layers: Sequence[LayerStream]) -> None:
        self.layers: list[LayerStream] = []
        for layer in layers:
            before = self.layers[-1] if self.layers else None
            if (
                isinstance(before, Pointwise)
                and isinstance(before.function, POINTWISE)
                and isinstance(layer, SlidingWindow)
                and layer.activation is None
            ):
                layer.activation = before.function  # written where the window needs it, not moved there
                self.layers.pop()
            self.layers.append(layer)
        self.nothing: Tensor | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        for layer in self.layers:
            # Small pieces mostly wait in the first layer; once all layers have begun, nothing moves those after it.
            if self.nothing is not None and x.shape[-1] == 0 and not last:
                return self.nothing
            x = layer.push(x, last)
        self.nothing = x[..., :0].clone()
        return x


class Sum(LayerStream):
    """Branches of one input, added; one that is ahead waits for the others.

    Args:
        branches: whose outputs have one shape.
    """

    def __init__(self, branches: Sequence[LayerStream]) -> None:
        split = [_without_product(branch) for branch in branches]
        self.branches = [branch for branch, _ in split]
        self.products = [product for _, product in split]
        self.waiting: list[Tensor | None] = [None for _ in branches]
        biases = [product.bias for product in self.products if product is not None and product.bias is not None]
        self.bias = sum(biases[1:], biases[0])[:, None] if biases else None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        outputs = [
            joined(before, branch.push(x, last)) for branch, before in zip(self.branches, self.waiting, strict=True)
        ]
        ready = min(output.shape[-1] for output in outputs)
        self.waiting = [output[..., ready:].clone() for output in outputs]
        total, owned = None, False
        for output, product in zip(outputs, self.products, strict=True):
            added = output[..., :ready]
            if product is not None:
                total, owned = product.onto(total, added, owned), True
            elif total is None:
                total = added
            else:
                total, owned = total + added, True
        assert total is not None  # there are branches
        return total if self.bias is None else total.add_(self.bias)


def _without_product(stream: LayerStream) -> tuple[LayerStream, Product | None]:
    """A stream, or where it ends in a product of each time step, what comes before that, and the product."""
    layers = stream.layers if isinstance(stream, Chain) else [stream]
    end = layers[-1]
    if not isinstance(end, SlidingWindow) or not isinstance(end.function, Product) or end.left or end.most_right:
        return stream, None
    return Chain([*layers[:-1], Pointwise(end.activation or nn.Identity())]), end.function


class Begin(LayerStream):
    """What stands before the first time step: zeros put there, and then steps taken away.

    Args:
        added: zeros before the first.
        cut: steps taken away after that, from the first on.
    """

    def __init__(self, added: int = 0, cut: int = 0) -> None:
        self.added, self.cut = added, cut

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        x, self.added = F.pad(x, (self.added, 0)) if self.added else x, 0
        cut = min(self.cut, x.shape[-1])
        self.cut -= cut
        return x[..., cut:]


class PadToMultiple(LayerStream):
    """Zeros after the last sample, up to a multiple of some length.

    Args:
        multiple: samples.
    """

    def __init__(self, multiple: int) -> None:
        self.multiple = multiple
        self.length = 0

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        self.length += x.shape[-1]
        missing = -self.length % self.multiple if last else 0
        return F.pad(x, (0, missing)) if missing else x


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


class OverlapAdd(LayerStream):
    """A layer whose input number ``t`` adds to a window of the output that begins at ``t * stride``.

    Args:
        function: from ``[B, C, n]`` to ``[B, C', (n - 1) * stride + window]``, without a bias.
        out_channels: ``C'``.
        window: samples that one input adds to, at least ``stride``.
        stride: samples from one window to the next.
        left: samples cut from the beginning of the sum.
        right: samples cut from its end, at most ``window - stride``.
        finish: what is done with finished samples, as adding the bias.
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
            added = self.function(x)
            added[..., : self.tail.shape[-1]] += self.tail
        ready = x.shape[-1] * self.stride
        self.tail = added[..., ready:].clone()
        output = added[..., : added.shape[-1] - self.right] if last else added[..., :ready]
        cut = min(self.left, output.shape[-1])
        self.left -= cut
        return self.finish(output[..., cut:])


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


def transposed_stream(module: nn.ConvTranspose1d, left: int, right: int) -> OverlapAdd:
    """A stream through a transposed convolution of which ``left`` and ``right`` samples are cut."""
    bias = detached(module.bias)
    (stride,), (taps,) = module.stride, module.kernel_size
    return OverlapAdd(
        transposed_convolution(module),
        *(module.out_channels, taps, stride, left, right),
        lambda y: y if bias is None else y.add_(bias[:, None]),
    )
