"""Initial weights of a codec's convolutions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from codeclab.codecs.layers.activation import LEAKY_SLOPE, Activation

WeightInit = Literal["default", "variance_preserving"]

AUDIO_RMS = 10 ** (-24 / 20)
"""Level of the audio on which EnCodec and DAC are trained, as an rms with full scale 1."""

BRANCH_SHARE = 0.1
"""Initial variance of a residual branch, as a share of the variance of the identity."""

GAINS: dict[str, float] = {"relu": 2.0, "leaky_relu": 2 / (1 + LEAKY_SLOPE**2)}
"""Gain of the weights after an activation that removes (part of) half of its input (He et al. 2015, eq. 15)."""


@torch.no_grad()
def preserve_variance(
    module: nn.Module,
    activation: Activation,
    branch_ends: Sequence[nn.Module] = (),
    input_rms: float = 1.0,
    output_rms: float = 1.0,
) -> None:
    """Draw every convolution's weights with variance ``gain / fan_in`` and set its biases to zero.

    The gain is the activation's, and 1 for activations that hardly change the variance. The first convolution also
    compensates for the input's level ``input_rms``: snake and ELU are almost linear for values as small as audio's, and
    the latent of a linear encoder carries the phase of a frame, but not its level. The last convolution scales the
    output to the level ``output_rms``: a decoder that starts sixteen times as loud as audio first has to learn to be
    quiet.

    Each residual branch would double the variance. The convolutions at the end of such branches (``branch_ends``) start
    at a tenth of it.

    PyTorch's default, which the released SEANet keeps, has a third of that variance and random biases. The latent then
    hardly depends on the audio for the first thousand batches or so, which is too long for runs of a few hundred
    batches.

    Args:
        module: encoder or decoder to initialize.
        activation: activation before the convolutions.
        branch_ends: last convolutions of residual branches.
        input_rms: level of the input.
        output_rms: level of the output.
    """
    parts = [part for part in module.modules() if isinstance(part, nn.Conv1d | nn.ConvTranspose1d)]
    for part in parts:
        if isinstance(part, nn.ConvTranspose1d):
            # Each output sample is a sum over kernel / stride taps of every input channel.
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
            part.weight = weight  # weight norm splits it
        else:
            part.weight.copy_(weight)
        if part.bias is not None:
            part.bias.zero_()


@torch.no_grad()
def zero_convolution_biases(module: nn.Module) -> None:
    """Set the biases of plain, but not of transposed, convolutions to zero, as DAC's released code does."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d) and part.bias is not None:
            part.bias.zero_()
