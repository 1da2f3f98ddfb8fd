"""Streams: layers that take their input in pieces of any length and give the output of the whole.

A streamable module has a method ``stream()``, which returns a ``LayerStream`` with the module's weights and a state of
its own. Composite modules build theirs from those of their layers (``layer_stream``, ``Chain``, ``Sum``). Layers with
windows or overlapping outputs use ``SlidingWindow`` and ``OverlapAdd``. Whole recordings are coded by the same streams,
in one or a few pieces (``codecs.blocks``): weight norm is then folded once, and layers are computed as in
``time_major``.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.activation import Snake
from codeclab.codecs.layers.layer_stream import LayerStream, NotStreamableError
from codeclab.codecs.layers.overlap_add import transposed_stream
from codeclab.codecs.layers.sliding_window import SlidingWindow, convolution_stream
from codeclab.codecs.layers.time_major import Product, activated, joined

POINTWISE = (Snake, nn.ELU, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Identity)
"""Modules whose output at a time step depends on their input at that step alone."""


def pushed_whole(module: nn.Module, x: Tensor) -> Tensor:
    """A module's output for a whole input ``[B, C, n]``, by its stream if it has one, otherwise by calling it."""
    try:
        stream = layer_stream(module)
    except NotStreamableError:
        return module(x)
    return stream.push(x, last=True)


def layer_stream(module: nn.Module) -> LayerStream:
    """A new stream through a module.

    Args:
        module: module with a method ``stream()``, a ``Sequential`` of such, a pointwise layer or a plain convolution.

    Raises:
        NotStreamableError: the module has no stream.
    """
    if isinstance(module, nn.Sequential):
        return Chain([layer_stream(layer) for layer in module])
    if callable(make := getattr(module, "stream", None)):
        return make()
    if isinstance(module, POINTWISE):
        return Pointwise(module)
    if isinstance(module, nn.Conv1d):
        padding = int(module.padding[0])
        return convolution_stream(module, padding, lambda length: padding, "constant")
    if isinstance(module, nn.ConvTranspose1d):
        padding, surplus = int(module.padding[0]), int(module.output_padding[0])
        return transposed_stream(module, padding, padding - surplus)
    raise NotStreamableError(
        f"{type(module).__name__} cannot be streamed; give it a method stream() that returns a "
        "LayerStream (codeclab.codecs.layers.layer_stream)"
    )


class Pointwise(LayerStream):
    """A layer without memory: a function from ``[B, C, n]`` to ``[B, C', n]``, for each time step separately."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        return activated(self.function, x)


class Chain(LayerStream):
    """Layers in sequence."""

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
                layer.activation = before.function  # its output goes directly into the window's buffer, without a copy
                self.layers.pop()
            self.layers.append(layer)
        self.nothing: Tensor | None = None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        for layer in self.layers:
            # Small pieces often give no output in the first layers. Once all layers have given output, an empty input
            # does not change the state of the layers after them, which can be skipped.
            if self.nothing is not None and x.shape[-1] == 0 and not last:
                return self.nothing
            x = layer.push(x, last)
        self.nothing = x[..., :0].clone()
        return x


class Sum(LayerStream):
    """The sum of branches of one input; the output of a branch that is ahead waits for the others."""

    def __init__(self, branches: Sequence[LayerStream]) -> None:
        split = [_without_product(branch) for branch in branches]
        self.branches = [branch for branch, _ in split]
        self.products = [product for _, product in split]
        self.waiting: list[Tensor | None] = [None for _ in branches]

    @cached_property
    def bias(self) -> Tensor | None:
        """The products' biases, added up to ``[C', 1]``."""
        biases = [product.bias for product in self.products if product is not None and product.bias is not None]
        return sum(biases[1:], biases[0])[:, None] if biases else None

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        outputs = [
            joined(before, branch.push(x, last)) for branch, before in zip(self.branches, self.waiting, strict=True)
        ]
        ready = min(output.shape[-1] for output in outputs)
        self.waiting = [output[..., ready:].clone() for output in outputs]
        # ``owned`` says that ``total`` is a new tensor, which may be overwritten, and not one of the branches' outputs.
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
    """A stream without its last layer, and that layer, if it is a ``Product``; otherwise the stream and None.

    ``Sum`` then adds the product directly to the other branches, in one operation.
    """
    layers = stream.layers if isinstance(stream, Chain) else [stream]
    end = layers[-1]
    if not isinstance(end, SlidingWindow) or not isinstance(end.function, Product) or end.left or end.most_right:
        return stream, None
    return Chain([*layers[:-1], Pointwise(end.activation or nn.Identity())]), end.function


class Begin(LayerStream):
    """A changed beginning: ``added`` zeros before the first time step, then ``cut`` steps fewer."""

    def __init__(self, added: int = 0, cut: int = 0) -> None:
        self.added, self.cut = added, cut

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        x, self.added = F.pad(x, (self.added, 0)) if self.added else x, 0
        cut = min(self.cut, x.shape[-1])
        self.cut -= cut
        return x[..., cut:]


class PadToMultiple(LayerStream):
    """Zero padding after the last sample, up to a multiple of a length in samples."""

    def __init__(self, multiple: int) -> None:
        self.multiple = multiple
        self.length = 0

    def push(self, x: Tensor, last: bool = False) -> Tensor:
        """See ``LayerStream``."""
        self.length += x.shape[-1]
        missing = -self.length % self.multiple if last else 0
        return F.pad(x, (0, missing)) if missing else x
