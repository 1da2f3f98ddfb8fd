"""The receptive field of a codec, an encoder or a decoder."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.layers.streaming import POINTWISE

OVER_TIME = (nn.GroupNorm, nn.InstanceNorm1d)
LONGEST = 2**20
"""Number of samples beyond which a receptive field counts as unbounded."""


@dataclass(frozen=True)
class ReceptiveField:
    """The samples on which one position of the output depends.

    For a codec, output sample ``n`` depends on samples ``n - samples_past .. n + samples_future``. An encoder's frame
    ``t`` is at its first sample, ``t * hop_length``. A decoder's sample depends on frames, each of which counts as
    its first sample.

    Attributes:
        samples_past: largest number of earlier samples.
        samples_future: largest number of later samples.
        unbounded: whether a recurrent layer or a norm over time depends on everything; the numbers of samples are then
            those of the convolutions alone.
    """

    samples_past: int
    samples_future: int
    unbounded: bool


def receptive_field(module: Encoder | Decoder | Codec) -> ReceptiveField:
    """Measure the receptive field with convolutions of one channel and equal positive weights.

    These have the same support as the part's own weights: no contributions cancel, and the computation is fast. A part
    with layers of other kinds is measured with its own layers. The support is that of the gradient of one output
    position.

    Args:
        module: encoder, decoder, or codec (encoder and decoder; a quantizer works frame by frame).
    """
    if isinstance(module, (Encoder, Decoder)):
        return _of_part(module)
    first, second = _of_part(module.encoder), _of_part(module.decoder)
    return ReceptiveField(
        first.samples_past + second.samples_past,
        first.samples_future + second.samples_future,
        first.unbounded or second.unbounded,
    )


def _of_part(part: Encoder | Decoder) -> ReceptiveField:
    encodes = isinstance(part, Encoder)
    measure = _on_a_frame if encodes else _of_a_frame
    network, channels, unbounded = thin(part, part.channels if encodes else part.dimension)
    frames = 8
    while frames * part.hop_length <= LONGEST:
        noise = torch.randn(1, channels, frames * part.hop_length if encodes else frames)
        with _evaluated(network):
            influence = measure(network, noise.to(example(network)).requires_grad_(), frames // 2)
        samples = influence.abs().sum((0, 1)).nonzero()
        if len(samples) and samples[0] > 0 and samples[-1] < influence.shape[-1] - 1:
            here = frames // 2 * part.hop_length
            before, after = max(here - int(samples[0]), 0), max(int(samples[-1]) - here, 0)
            if encodes:
                return ReceptiveField(before, after, unbounded)
            return ReceptiveField(after, before, unbounded)  # a sample before the frame depends on what comes later
        frames *= 2
    return ReceptiveField(LONGEST, LONGEST, True)


def _on_a_frame(encoder: nn.Module, audio: Tensor, frame: int) -> Tensor:
    """The influence of each sample of ``audio [B, C, N]`` on a frame."""
    return torch.autograd.grad(encoder(audio)[..., frame].sum(), audio)[0]


def _of_a_frame(decoder: nn.Module, latent: Tensor, frame: int) -> Tensor:
    """The influence of a frame of ``latent [B, D, T]`` on each sample, ``[B, C, N]``."""
    audio = decoder(latent)
    weights = torch.ones_like(audio, requires_grad=True)
    (slopes,) = torch.autograd.grad(audio, latent, weights, create_graph=True)
    # ``slopes`` are linear in ``weights``: the derivative of a frame's slope with respect to a sample's weight is the
    # derivative of that sample with respect to the frame. One more backward pass gives it for all samples.
    return torch.autograd.grad(slopes[..., frame].sum(), weights)[0]


def thin(part: nn.Module, channels: int) -> tuple[nn.Module, int, bool]:
    """A part with the same time structure, with one channel if all of its layers are known, otherwise itself.

    Args:
        part: encoder or decoder.
        channels: channels of its input.

    Returns:
        the network to measure, the channels of its input, and whether a layer of the part depends on all of the time.
    """
    unbounded = any(isinstance(module, (nn.RNNBase, *OVER_TIME)) for module in part.modules())
    known = (nn.Conv1d, nn.ConvTranspose1d, nn.RNNBase, *OVER_TIME, *POINTWISE)
    inside = {id(child) for module in part.modules() if isinstance(module, known) for child in module.modules()}
    owners = (module for module in part.modules() if any(True for _ in module.parameters(recurse=False)))
    if all(id(module) in inside for module in owners):
        return _one_channel(part), 1, unbounded
    return part, channels, unbounded


def _one_channel(module: nn.Module) -> nn.Module:
    """The same convolutions with one channel and equal positive weights, without norms, activations and recurrence."""
    if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
        shape = {name: getattr(module, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        if isinstance(module, nn.Conv1d):
            return _equal_weights(nn.Conv1d(1, 1, **shape, bias=False))
        shape["output_padding"] = module.output_padding
        return _equal_weights(nn.ConvTranspose1d(1, 1, **shape, bias=False))
    if isinstance(module, nn.RNNBase):
        return _NoRecurrence(module.num_layers)
    if isinstance(module, (*OVER_TIME, *POINTWISE)):
        return nn.Identity()
    clone = copy.copy(module)
    clone._modules = {name: child and _one_channel(child) for name, child in module._modules.items()}
    return clone


class _NoRecurrence(nn.Module):
    """A substitute for a recurrent layer, which returns its input and the state that it is given.

    It has the sizes from which networks make a first state.
    """

    hidden_size = 1

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers

    def forward(self, frames: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return frames, state


def _equal_weights(convolution: nn.Module) -> nn.Module:
    for weight in convolution.parameters():
        nn.init.ones_(weight)
    # The product over many layers of many taps overflows single precision.
    return convolution.double()


def example(network: nn.Module) -> Tensor:
    """A tensor of the network's type, on its device."""
    return next(network.parameters(), torch.empty(0))


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """A context in which the network is in evaluation mode."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
