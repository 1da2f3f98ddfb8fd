"""How much audio around a sample a codec, an encoder or a decoder sees."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.layers.streaming import POINTWISE

OVER_TIME = (nn.GroupNorm, nn.InstanceNorm1d)
LONGEST = 2**20
"""Samples beyond which a part is taken to see everything."""


@dataclass(frozen=True)
class ReceptiveField:
    """What one position of the output depends on.

    For a codec, output sample ``n`` depends on samples ``n - samples_past .. n + samples_future``. An encoder's frame
    ``t`` stands at its first sample, ``t * hop_length``. A decoder's sample depends on frames, each of which stands for
    its first sample.

    Attributes:
        samples_past: earlier audio samples, at most.
        samples_future: later audio samples, at most.
        unbounded: whether a recurrent layer or a norm over time sees everything; the samples are then those that
            the convolutions alone see.
    """

    samples_past: int
    samples_future: int
    unbounded: bool


def receptive_field(module: Encoder | Decoder | Codec) -> ReceptiveField:
    """Measure it, by propagating one impulse through the convolutions with equal positive weights on one channel.

    That finds the same support as the weights there are, exactly and in little time. A part with layers of other kinds
    is measured by the gradient of the layers it has.

    Args:
        module: an encoder, a decoder, or a codec (encoder and decoder; a quantizer works frame by frame).
    """
    if isinstance(module, Encoder):
        return _of_encoder(module)
    if isinstance(module, Decoder):
        return _of_decoder(module)
    first, second = _of_encoder(module.encoder), _of_decoder(module.decoder)
    return ReceptiveField(
        first.samples_past + second.samples_past,
        first.samples_future + second.samples_future,
        first.unbounded or second.unbounded,
    )


def _of_encoder(encoder: Encoder) -> ReceptiveField:
    network, channels, unbounded = thin(encoder, encoder.channels)
    frames = 8
    while frames * encoder.hop_length <= LONGEST:
        audio = torch.randn(1, channels, frames * encoder.hop_length).to(example(network)).requires_grad_()
        with _evaluated(network):
            frame = network(audio)[..., frames // 2]
        seen = _support(torch.autograd.grad(frame.sum(), audio)[0])
        if seen is not None and seen[0] > 0 and seen[1] < audio.shape[-1] - 1:
            here = frames // 2 * encoder.hop_length
            return ReceptiveField(max(here - seen[0], 0), max(seen[1] - here, 0), unbounded)
        frames *= 2
    return ReceptiveField(LONGEST, LONGEST, True)


def _of_decoder(decoder: Decoder) -> ReceptiveField:
    network, channels, unbounded = thin(decoder, decoder.dimension)
    frames = 8
    while frames * decoder.hop_length <= LONGEST:
        latent = torch.randn(1, channels, frames).to(example(network)).requires_grad_()
        with _evaluated(network):
            audio = network(latent)
        weights = torch.ones_like(audio, requires_grad=True)
        (slopes,) = torch.autograd.grad(audio, latent, weights, create_graph=True)
        # Linear in the weights: the derivative by a sample's weight is that sample's own slope by the frame.
        seen = _support(torch.autograd.grad(slopes[..., frames // 2].sum(), weights)[0])
        if seen is not None and seen[0] > 0 and seen[1] < audio.shape[-1] - 1:
            here = frames // 2 * decoder.hop_length
            return ReceptiveField(max(seen[1] - here, 0), max(here - seen[0], 0), unbounded)
        frames *= 2
    return ReceptiveField(LONGEST, LONGEST, True)


def _support(influence: Tensor) -> tuple[int, int] | None:
    positions = influence.abs().sum((0, 1)).nonzero()
    return None if len(positions) == 0 else (int(positions[0]), int(positions[-1]))


def thin(part: nn.Module, channels: int) -> tuple[nn.Module, int, bool]:
    """A part as far as its time structure goes: with one channel where its layers are known, otherwise as it is.

    Args:
        part: an encoder or a decoder.
        channels: of its input.

    Returns:
        what to measure, the channels of its input, and whether something in the part sees all time.
    """
    unbounded = any(isinstance(module, (nn.RNNBase, *OVER_TIME)) for module in part.modules())
    known = (nn.Conv1d, nn.ConvTranspose1d, nn.RNNBase, *OVER_TIME, *POINTWISE)
    inside = {id(child) for module in part.modules() if isinstance(module, known) for child in module.modules()}
    owners = (module for module in part.modules() if any(True for _ in module.parameters(recurse=False)))
    if all(id(module) in inside for module in owners):
        return _one_channel(part), 1, unbounded
    return part, channels, unbounded


def _one_channel(module: nn.Module) -> nn.Module:
    """The same convolutions with one channel and equal positive weights, and nothing else that changes values."""
    if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
        shape = {name: getattr(module, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        if isinstance(module, nn.Conv1d):
            return _equal_weights(nn.Conv1d(1, 1, **shape, bias=False))
        shape["output_padding"] = module.output_padding
        return _equal_weights(nn.ConvTranspose1d(1, 1, **shape, bias=False))
    if isinstance(module, nn.RNNBase):
        return _NoRecurrence()
    if isinstance(module, (*OVER_TIME, *POINTWISE)):
        return nn.Identity()
    clone = copy.copy(module)
    clone._modules = {name: child and _one_channel(child) for name, child in module._modules.items()}
    return clone


class _NoRecurrence(nn.Module):
    """In place of a recurrent layer: its input, and no state."""

    def forward(self, frames: Tensor, state: None = None) -> tuple[Tensor, None]:
        return frames, None


def _equal_weights(convolution: nn.Module) -> nn.Module:
    for weight in convolution.parameters():
        nn.init.ones_(weight)
    # Many layers of many taps multiply to more than single precision holds.
    return convolution.double()


def example(network: nn.Module) -> Tensor:
    """A tensor of the type and on the device that the network takes."""
    return next(network.parameters(), torch.empty(0))


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Without dropout and the like while it is measured."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
