"""How a codec's convolutions start."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from codeclab.codecs.layers.activation import LEAKY_SLOPE, Activation

WeightInit = Literal["default", "variance_preserving"]

AUDIO_RMS = 10 ** (-24 / 20)
"""Level of the audio that EnCodec and DAC are trained on, against full scale."""

BRANCH_SHARE = 0.1
"""Variance of a residual branch, against that of the identity it is added to."""

GAINS: dict[str, float] = {"relu": 2.0, "leaky_relu": 2 / (1 + LEAKY_SLOPE**2)}
"""What weights must make up for after an activation that removes (a share of) one half (He et al. 2015, eq. 15)."""


@torch.no_grad()
def preserve_variance(
    module: nn.Module,
    activation: Activation,
    branch_ends: Sequence[nn.Module] = (),
    input_rms: float = 1.0,
    output_rms: float = 1.0,
) -> None:
    """Draw every convolution's weights with variance ``gain / fan_in`` and set its biases to zero.

    The gain is the activation's, 1 for those that leave the variance about as it is. The first convolution also makes
    up for the input's level ``input_rms``: snake and ELU are all but linear for values as small as audio's, and a
    linear encoder's latent tells the phase of a frame but not how loud it is. The last one brings the output to the
    level ``output_rms``: a decoder that starts sixteen times as loud as its audio first learns to be quiet.

    What is added to an identity would double the variance each time: the convolutions that end such branches start at a
    tenth of it.

    PyTorch's default, which the released SEANet keeps, gives a third of that variance and random biases: at the start
    the latent hardly depends on the audio, and some thousand batches pass before it does. Runs of a few hundred
    batches cannot wait for that.
    """
    parts = [part for part in module.modules() if isinstance(part, nn.Conv1d | nn.ConvTranspose1d)]
    for part in parts:
        if isinstance(part, nn.ConvTranspose1d):
            # Each output sample is reached by kernel / stride taps of every input channel.
            fan_in = part.in_channels * part.kernel_size[0] / part.stride[0]
        else:
            fan_in = part.in_channels * part.kernel_size[0]
        share = BRANCH_SHARE if any(part is end for end in branch_ends) else 1.0
        weight = torch.randn_like(part.weight) * (GAINS.get(activation, 1.0) * share / fan_in) ** 0.5
        if part is parts[0]:
            weight /= input_rms
        if part is parts[-1]:
            weight *= output_rms
        if is_parametrized(part, "weight"):
            part.weight = weight  # weight norm takes it apart
        else:
            part.weight.copy_(weight)
        if part.bias is not None:
            part.bias.zero_()


@torch.no_grad()
def zero_convolution_biases(module: nn.Module) -> None:
    """Set the biases of plain convolutions to zero, as DAC's released code does (of transposed ones it does not)."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d) and part.bias is not None:
            part.bias.zero_()
