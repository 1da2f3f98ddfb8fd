"""What every encoder and every decoder promises."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from codeclab.codecs.base import Decoder, Encoder
from codeclab.experiments.contracts.base import PartContract, noise

LENGTHS = (8, 61, 400)
SHORT = 2
"""Samples by which a decoder's output may be short: DAC's released design is, at odd strides."""


class _CoderContract(PartContract, ABC):
    """What both promise."""

    part: type[Encoder] | type[Decoder]

    @abstractmethod
    def given(self, part: Encoder | Decoder, batch: int, frames: int) -> Tensor:
        """An input of so many frames."""

    def test_attributes(self) -> None:
        """Sizes that other parts are linked to."""
        part: Encoder | Decoder = self.build()
        assert part.hop_length == math.prod(part.strides)
        assert isinstance(part.dimension, int)
        assert isinstance(part.channels, int)

    def test_items_of_a_batch_do_not_mix(self) -> None:
        """Each is coded as alone."""
        part = self.build()
        given = self.given(part, 3, 40)
        with torch.no_grad():
            together, alone = part(given), torch.cat([part(item[None]) for item in given])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_silence_is_finite_and_has_finite_gradients(self) -> None:
        """Recordings have digital silence."""
        part = self.build().train()
        given = torch.zeros_like(self.given(part, 2, 60)).requires_grad_()
        out = part(given)
        out.square().sum().backward()
        assert bool(out.isfinite().all())
        assert given.grad is not None
        assert bool(given.grad.isfinite().all())
        assert all(bool(p.grad.isfinite().all()) for p in part.parameters() if p.grad is not None)

    def test_it_is_rebuilt_from_its_arguments_and_weights(self) -> None:
        """What is saved and loaded gives the same."""
        part = self.build()
        given = self.given(part, 1, 50)
        with torch.no_grad():
            assert torch.equal(self.rebuild(part)(given), part(given))


class EncoderContract(_CoderContract):
    """Audio ``[B, C, N]`` to a latent ``[B, D, ceil(N / hop_length)]``."""

    part: type[Encoder]

    def given(self, part: Encoder | Decoder, batch: int, frames: int) -> Tensor:
        """Audio."""
        return noise(batch, part.channels, frames * part.hop_length)

    def test_frames_of_any_length(self) -> None:
        """Every sample is in a frame."""
        encoder: Encoder = self.build()
        for length in LENGTHS:
            latent = encoder(noise(2, encoder.channels, length))
            assert latent.shape == (2, encoder.dimension, -(-length // encoder.hop_length))


class DecoderContract(_CoderContract):
    """A latent ``[B, D, T]`` to audio ``[B, C, T * hop_length]``."""

    part: type[Decoder]

    def given(self, part: Encoder | Decoder, batch: int, frames: int) -> Tensor:
        """A latent."""
        return noise(batch, part.dimension, frames, level=1.0)

    def test_samples_of_any_number_of_frames(self) -> None:
        """There are as many samples as the frames stand for."""
        decoder: Decoder = self.build()
        for frames in (1, 7, 50):
            audio = decoder(noise(2, decoder.dimension, frames, level=1.0))
            assert audio.shape[:2] == (2, decoder.channels)
            assert 0 <= frames * decoder.hop_length - audio.shape[-1] <= SHORT
