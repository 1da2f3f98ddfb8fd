"""The networks that ``--compile`` compiles, in place, so that tensors keep their names in checkpoints."""

import itertools
import os
import shutil
import types
from collections.abc import Iterator
from contextlib import contextmanager

import torch._functorch.config
from torch import nn

from codeclab.codecs.codec import Codec
from codeclab.discriminators.layers import ConvStack

COMPILERS = {"cpu": ("CXX", "g++", "clang++", "cl"), "cuda": ("CC", "gcc", "clang", "cc")}
"""Programs that build the compiler's output, by device: an environment variable, then names."""

_numbers = itertools.count()


def missing_compiler(device: str) -> str | None:
    """What to install to compile for a device ("cpu" or "cuda"); None if a compiler is on the PATH."""
    variable, *programs = COMPILERS[device]
    if any(shutil.which(name) for name in (os.environ.get(variable), *programs) if name):
        return None
    language = "C++" if device == "cpu" else "C"
    return f"a {language} compiler on the PATH ({' or '.join(programs[:2])}), or named by {variable}"


def compile_networks(codec: Codec, discriminators: nn.Module) -> None:
    """Compile encoder and decoder without their LSTMs, and the discriminators' convolutions after the STFT.

    Quantizers, losses and the balancer stay as they are.
    """
    for coder in (codec.encoder, codec.decoder):
        _compile_around_lstm(coder)
    for stack in discriminators.modules():
        if isinstance(stack, ConvStack):
            compile_alone(stack)


@contextmanager
def retained_buffers() -> Iterator[None]:
    """Compile graphs whose buffers survive a backward pass: the gradients of several losses go through one graph.

    The compiler reads this setting at the first forward pass through a graph and again at each backward pass, so that
    both are to be in the block.
    """
    with torch._functorch.config.patch(donated_buffer=False):
        yield


def compile_alone(module: nn.Module) -> None:
    """Compile a module with a ``forward`` of its own.

    The compiler caches its results by code object, and compiles no more, without an error, after eight per object. The
    twenty stacks of DAC's discriminators, each with and without gradient, are of one class and would exceed this limit.
    So each module gets its own copy of the code object.

    Each copy has a name of its own in the process, because what the compiler learns about shapes it keeps by name.
    """
    forward = type(module).forward
    number = next(_numbers)
    code = forward.__code__.replace(
        co_name=f"forward_{number}", co_qualname=f"{type(module).__name__}.forward_{number}"
    )
    own = types.FunctionType(code, forward.__globals__, code.co_name, forward.__defaults__, forward.__closure__)
    own.__kwdefaults__ = forward.__kwdefaults__
    module.forward = types.MethodType(own, module)
    module.compile()


def _compile_around_lstm(module: nn.Module) -> None:
    """Compile the largest submodules that have parameters and no LSTM."""
    if any(isinstance(part, nn.LSTM) for part in module.modules()):
        for child in module.children():
            _compile_around_lstm(child)
    elif any(True for _ in module.parameters()):
        compile_alone(module)
