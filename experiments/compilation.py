"""What ``--compile`` compiles; in place, so that names in checkpoints stay plain."""

import torch._functorch.config
from torch import nn

from codeclab.codecs.codec import Codec
from codeclab.discriminators.layers import ConvStack


def compile_networks(codec: Codec, critics: nn.Module) -> None:
    """Compile encoder and decoder without their LSTMs, and the critics' convolutions after the STFT.

    Quantizers, losses and the balancer stay as they are.
    """
    # Each loss's gradient passes the same graph once more: what its backward pass needs must outlive the first.
    torch._functorch.config.donated_buffer = False
    for coder in (codec.encoder, codec.decoder):
        _compile_around_lstm(coder)
    for stack in critics.modules():
        if isinstance(stack, ConvStack):
            stack.compile()


def _compile_around_lstm(module: nn.Module) -> None:
    """Compile the largest submodules that hold parameters and no LSTM."""
    if any(isinstance(part, nn.LSTM) for part in module.modules()):
        for child in module.children():
            _compile_around_lstm(child)
    elif any(True for _ in module.parameters()):
        module.compile()
