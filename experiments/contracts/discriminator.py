"""What every discriminator, adversarial loss and feature loss promises."""

import torch
from torch import Tensor

from codeclab.discriminators.adversarial import AdversarialLoss
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.feature_matching import FeatureLoss
from codeclab.experiments.contracts.base import PartContract, noise

LENGTH = 8192


class DiscriminatorContract(PartContract):
    """One output of each sub-network, always in the same order."""

    part: type[Discriminator]

    def audio(self, discriminator: Discriminator, batch: int = 2) -> Tensor:
        """``[B, C, N]``."""
        return noise(batch, getattr(discriminator, "channels", 1), LENGTH)

    def test_outputs(self) -> None:
        """Logits and features with the batch first; as many each time."""
        discriminator = self.build()
        first = discriminator(self.audio(discriminator))
        second = discriminator(self.audio(discriminator, 3))
        assert len(first) == len(second) > 0
        for output, of_three in zip(first, second, strict=True):
            assert isinstance(output, DiscriminatorOutput)
            assert output.logits.shape[0] == 2
            assert output.logits.shape[1:] == of_three.logits.shape[1:]
            assert bool(output.logits.isfinite().all())
            assert all(feature.shape[0] == 2 for feature in output.features)
            assert len(output.features) == len(of_three.features)

    def test_a_gradient_reaches_the_audio_and_the_weights(self) -> None:
        """The generator learns through it, and it learns itself; silence breaks neither."""
        discriminator = self.build().train()
        for audio in (self.audio(discriminator), torch.zeros_like(self.audio(discriminator))):
            discriminator.zero_grad(set_to_none=True)
            given = audio.requires_grad_()
            sum(output.logits.mean() for output in discriminator(given)).backward()
            assert given.grad is not None
            assert bool(given.grad.isfinite().all())
            assert all(bool(p.grad.isfinite().all()) for p in discriminator.parameters() if p.grad is not None)
        assert any(p.grad is not None for p in discriminator.parameters())

    def test_items_of_a_batch_do_not_mix(self) -> None:
        """Each item has the logits that it has alone."""
        discriminator = self.build()
        audio = self.audio(discriminator)
        with torch.no_grad():
            together = [output.logits[:1] for output in discriminator(audio)]
            alone = [output.logits for output in discriminator(audio[:1])]
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def outputs_around(level: float, gradient: bool = False) -> list[DiscriminatorOutput]:
    """The outputs of two sub-networks whose logits lie around a level."""
    outputs = []
    for seed in (1, 2):
        logits, feature = noise(2, 1, 10, seed=seed) + level, noise(2, 4, 10, seed=seed + 2) + level
        outputs.append(DiscriminatorOutput(logits.requires_grad_(gradient), [feature.requires_grad_(gradient)]))
    return outputs


class AdversarialLossContract(PartContract):
    """Both players' losses, means over the batch."""

    part: type[AdversarialLoss]

    def test_each_player_gains_by_what_it_is_there_for(self) -> None:
        """The discriminators by telling real from generated audio, the generator by being taken for real."""
        loss: AdversarialLoss = self.build()
        high, low = outputs_around(0.8), outputs_around(-0.8)
        right, wrong = loss.discriminator(high, low), loss.discriminator(low, high)
        assert right.ndim == wrong.ndim == 0
        assert float(right) < float(wrong)
        assert float(loss.generator(high)) < float(loss.generator(low))

    def test_gradients_are_finite(self) -> None:
        """Codec and discriminators both get finite gradients."""
        loss: AdversarialLoss = self.build()
        real, fake = outputs_around(0.5, True), outputs_around(-0.5, True)
        (loss.discriminator(real, fake) + loss.generator(fake)).backward()
        assert all(one.logits.grad is not None and bool(one.logits.grad.isfinite().all()) for one in (*real, *fake))


class FeatureLossContract(PartContract):
    """A distance between features of real and of generated audio."""

    part: type[FeatureLoss]

    def test_it_is_a_distance_whose_gradient_spares_the_real_audio(self) -> None:
        """Nothing between equal features, more between other ones."""
        loss: FeatureLoss = self.build()
        assert abs(float(loss(outputs_around(0.5), outputs_around(0.5)))) < 1e-6
        real, fake = outputs_around(0.5, True), outputs_around(-0.5, True)
        value = loss(real, fake)
        assert value.ndim == 0
        assert float(value.detach()) > 0
        value.backward()
        assert all(feature.grad is not None for one in fake for feature in one.features)
        assert all(feature.grad is None for one in real for feature in one.features)
