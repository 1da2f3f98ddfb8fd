"""What every reconstruction loss promises."""

import inspect

import torch

from codeclab.experiments.contracts.base import PartContract, noise
from codeclab.experiments.train.losses.base import ReconstructionLoss

RATE = 24000
LENGTH = 8192


class ReconstructionLossContract(PartContract):
    """A distance between generated and real audio."""

    part: type[ReconstructionLoss]

    def build(self, seed: int = 0) -> ReconstructionLoss:
        """The loss, at 24 kHz if it takes a sampling rate."""
        if "sample_rate" in inspect.signature(self.part).parameters and "sample_rate" not in self.arguments:
            self.arguments = {**self.arguments, "sample_rate": RATE}  # type: ignore[misc]  # of this one test
        loss: ReconstructionLoss = super().build(seed)
        return loss

    def test_it_is_a_distance(self) -> None:
        """Nothing from audio to itself, and more to what is further away."""
        loss, channels = self.build(), self.part.channels or 1
        real, error = noise(2, channels, LENGTH), noise(2, channels, LENGTH, seed=5)
        assert abs(float(loss(real, real))) < 1e-5
        near, far = loss(real + 0.1 * error, real), loss(real + error, real)
        assert near.ndim == 0
        assert near.dtype == torch.float32
        assert 0 < float(near) < float(far)

    def test_gradients_are_finite_at_silence_too(self) -> None:
        """Logarithms and roots have none at zero by themselves."""
        loss, channels = self.build(), self.part.channels or 1
        sound, other = noise(2, channels, LENGTH), noise(2, channels, LENGTH, seed=5)
        silence = torch.zeros(2, channels, LENGTH)
        for fake, real in ((sound, other), (silence, sound), (sound, silence), (silence, silence)):
            given = fake.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(given, real), given)
            assert bool(gradient.isfinite().all())

    def test_it_computes_in_float32_under_any_autocast(self) -> None:
        """Spectra in bfloat16 are too coarse."""
        loss, channels = self.build(), self.part.channels or 1
        fake, real = noise(2, channels, LENGTH), noise(2, channels, LENGTH, seed=5)
        expected = loss(fake, real)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(loss(fake, real), expected, rtol=1e-5, atol=1e-6)

    def test_it_is_a_mean_over_the_batch(self) -> None:
        """So that processes' means are the mean of the whole batch."""
        loss, channels = self.build(), self.part.channels or 1
        fake, real = noise(4, channels, LENGTH), noise(4, channels, LENGTH, seed=5)
        halves = [loss(fake[half], real[half]) for half in (slice(0, 2), slice(2, 4))]
        torch.testing.assert_close(torch.stack(halves).mean(), loss(fake, real), rtol=0.02, atol=1e-5)
