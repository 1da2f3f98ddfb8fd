"""The training step against the same training written out plainly: fifty batches have the same losses."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import lightning
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from codeclab.codecs.resample import same_length
from codeclab.discriminators.base import DiscriminatorOutput
from codeclab.experiments.train.module import CodecExperiment
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.experiments.train.step_output import StepOutput
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ

BATCHES, ITEMS, SAMPLES = 50, 2, 3072
# Rounding must stay rounding, on every processor. So no k-means, which decides too often which mean is nearest; mels
# that do not divide by next to nothing; and an eps of Adam above gradients that are nothing but rounding, of which
# PyTorch's 1e-8 makes whole steps.
SETTINGS = {
    "encodec_24khz": {
        "model__encoder__strides": "[5, 8, 8]",
        "model__decoder__strides": "[5, 8, 8]",
        "model__quantizer__kmeans_init": "false",
        "model__spectral_loss__window_lengths": "[256, 512, 1024]",
        "model__balancer__decay": 0.9,
        "model__optimizer__eps": 1e-4,
        "model__discriminator_optimizer": "{lr: 2e-3, betas: [0.5, 0.9], eps: 1e-5}",
    },
    "dac_44khz": {
        "model__encoder__strides": "[8, 8]",
        "model__decoder__strides": "[8, 8]",
        "model__spectral_loss__window_lengths": "[256, 512]",
        "model__spectral_loss__n_mels": "[20, 40]",
        "model__spectral_loss__floor": 0.01,
        "model__discriminators": (
            '[{"class_path": "MultiPeriodDiscriminator",'
            ' "init_args": {"n_filters": 4, "max_filters": 8, "periods": [3]}},'
            ' {"class_path": "MultiBandSTFTDiscriminator",'
            ' "init_args": {"n_filters": 4, "window_lengths": [256], "bands": [[0.0, 0.25], [0.25, 1.0]]}}]'
        ),
        "model__optimizer__eps": 1e-4,
        "model__discriminator_optimizer__lr": 3e-4,
        "model__discriminator_optimizer__eps": 1e-3,
    },
}


def tolerance(name: str, batch: int) -> dict[str, float]:
    """What rounding may make of a figure: later a little more, as then a unit or a difference may be of another sign.

    Four times and more of what all weights moved by half of their last digit at the start lead to.
    """
    if batch < 10:
        return {"rel": 1e-4, "abs": 1e-5}
    return {"rel": 2e-2 if name.endswith("norm") else 1e-3, "abs": 1e-4}


@dataclass(frozen=True)
class Seen:
    """What a batch of the suite's training was made of, and what it gave."""

    audio: Tensor
    codes: Tensor
    figures: dict[str, float]


class Recorder(lightning.Callback):
    """Keeps every batch of a training."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        output = StepOutput.of(outputs)
        assert output is not None
        norms = {f"{player}_grad_norm": norm for player, norm in output.gradient_norms.items()}
        figures = {**output.losses, **output.scores, **norms}
        self.seen.append(Seen(batch, output.codes, figures))


# ---------------------------------------------------------------------- the losses


def mean(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def total(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).sum()


def encodec_losses(model: CodecExperiment, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Waveform and mel losses of EnCodec (section 3.4, eq. 1 as released)."""
    spectral = 0.0
    for spectrogram in model.spectral_loss.spectrograms:  # type: ignore[union-attr]
        ours, theirs = spectrogram(fake), spectrogram(real)
        logarithms = torch.log10(ours + 1e-5) - torch.log10(theirs + 1e-5)
        spectral = spectral + (ours - theirs).abs().mean() + (logarithms**2).mean()
    count = 2 * len(model.spectral_loss.spectrograms)  # type: ignore[union-attr, arg-type]
    return {"waveform": (fake - real).abs().mean(), "spectral": spectral / count}


def dac_losses(model: CodecExperiment, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """The multi-scale mel loss of DAC (section 3.5)."""
    scales, floor = [], model.spectral_loss.floor  # type: ignore[union-attr]
    for spectrogram in model.spectral_loss.spectrograms:  # type: ignore[union-attr]
        ours, theirs = (torch.log10(spectrogram(audio).clamp(min=floor)) for audio in (fake, real))
        scales.append((ours - theirs).abs().mean())
    return {"spectral": total(scales)}


def encodec_hinge(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    pairs = zip(real, fake, strict=True)
    return mean(F.relu(1 - r.logits).mean() + F.relu(1 + f.logits).mean() for r, f in pairs)


def dac_hinge(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    pairs = zip(real, fake, strict=True)
    return total(F.relu(1 - r.logits).mean() + F.relu(1 + f.logits).mean() for r, f in pairs)


def encodec_adversarial(fake: list[DiscriminatorOutput]) -> Tensor:
    return mean(F.relu(1 - output.logits).mean() for output in fake)


def dac_adversarial(fake: list[DiscriminatorOutput]) -> Tensor:
    return total(-output.logits.mean() for output in fake)


def encodec_matching(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    """EnCodec eq. 2."""
    return mean(
        mean((r.detach() - f).abs().mean() / r.detach().abs().mean() for r, f in zip(*features, strict=True))
        for features in zip((j.features for j in real), (j.features for j in fake), strict=True)
    )


def dac_matching(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    return total(
        (r.detach() - f).abs().mean()
        for features in zip((j.features for j in real), (j.features for j in fake), strict=True)
        for r, f in zip(*features, strict=True)
    )


# ---------------------------------------------------------------------- the quantizers


def assert_nearest(vectors: Tensor, entries: Tensor, codes: Tensor) -> None:
    """``codes [N]`` name entries ``[size, D]`` that are nearest to ``vectors [N, D]``, but for rounding.

    Which of two entries equally near is taken is a matter of luck, and all that follows depends on it: so the plain
    loop takes what the suite took, where that is right.
    """
    distances = torch.cdist(vectors.double(), entries.double())
    chosen = distances.gather(1, codes[:, None])[:, 0]
    assert bool((chosen <= distances.min(1).values + 1e-4 * distances.mean()).all())


def residual_vq(quantizer: ResidualVQ, latent: Tensor, n_codebooks: int, codes: Tensor) -> tuple[Tensor, Any]:
    """EnCodec's quantizer: the quantized latent ``[B, D, T]`` and its loss; codebooks learn one after the other."""
    residual, output, commitments = latent, torch.zeros_like(latent), []
    for codebook, chosen in zip(quantizer.codebooks[:n_codebooks], codes.unbind(1), strict=True):
        entries: Any = codebook.entries
        vectors = residual.detach().transpose(1, 2).flatten(0, 1)
        assert_nearest(vectors, entries, chosen.flatten())
        result = entries[chosen].transpose(1, 2)
        commitments.append(((residual - result) ** 2).mean())
        residual, output = residual - result, output + result
        learn(codebook, vectors, chosen.flatten())
    return latent + (output - latent).detach(), {"commitment": mean(commitments)}


@torch.no_grad()
def learn(codebook: Any, vectors: Tensor, codes: Tensor) -> None:
    """Running averages (van den Oord et al. 2017, A.1) and the replacement of entries out of use."""
    chosen = F.one_hot(codes, codebook.size).float()
    codebook.counts.mul_(codebook.decay).add_((1 - codebook.decay) * chosen.sum(0))
    codebook.sums.mul_(codebook.decay).add_((1 - codebook.decay) * chosen.T @ vectors)
    everything = codebook.counts.sum()
    smoothed = (codebook.counts + codebook.epsilon) / (everything + codebook.size * codebook.epsilon) * everything
    codebook.entries.copy_(codebook.sums / smoothed[:, None])
    average = codebook.counts.mean()
    unused = codebook.counts < min(float(average) * codebook.dead_share, codebook.dead_threshold)
    candidates = vectors[codebook.draw_replacements(len(vectors), int(codebook.updates))]
    codebook.entries[unused] = candidates[unused]
    codebook.sums[unused] = average * candidates[unused]
    codebook.counts[unused] = average
    codebook.updates += 1


def factorized_vq(quantizer: FactorizedVQ, latent: Tensor, n_codebooks: Tensor, codes: Tensor) -> tuple[Tensor, Any]:
    """DAC's quantizer: the quantized latent ``[B, D, T]`` and its losses; an item uses its own number of codebooks."""
    residual, output, commitments, codebooks = latent, torch.zeros_like(latent), [], []
    for index, (stage, row) in enumerate(zip(quantizer.stages, codes.unbind(1), strict=False)):
        used = n_codebooks > index
        chosen = row.clamp(min=0)
        projected = stage.in_proj(residual)  # type: ignore[operator]
        entries = stage.codebook.weight  # type: ignore[union-attr]
        seen = F.normalize(projected.detach().transpose(1, 2)[used].flatten(0, 1))
        assert_nearest(seen, F.normalize(entries.detach()), chosen[used].flatten())  # type: ignore[arg-type]
        result = stage.codebook(chosen).transpose(1, 2)  # type: ignore[operator]
        commitments.append((((projected - result.detach()) ** 2).mean((1, 2)) * used).mean())
        codebooks.append((((projected.detach() - result) ** 2).mean((1, 2)) * used).mean())
        passed = stage.out_proj(projected + (result - projected).detach())  # type: ignore[operator]
        output = output + passed * used[:, None, None]
        residual = residual - passed
    return output, {"commitment": total(commitments), "codebook": total(codebooks)}


# ---------------------------------------------------------------------- the loop


class Step:
    """An optimizer that updates one parameter after the other, its schedule and its clipping."""

    def __init__(self, module: nn.Module, settings: OptimizerSettings) -> None:
        self.module, self.settings = module, settings
        kind = getattr(torch.optim, settings.name)
        options = {"lr": settings.lr, "betas": settings.betas, "eps": settings.eps}
        self.optimizer = kind(module.parameters(), **options, foreach=False, fused=False)

    def __call__(self, index: int) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * self.settings.decay**index
        norm = nn.utils.clip_grad_norm_(
            self.module.parameters(), self.settings.clip_norm or float("inf"), foreach=False
        )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm


class PlainLoop:
    """A recipe's training as its paper's code has it: every loss, pass and update on its own.

    Args:
        model: whose parts, weights and settings it takes.
        recipe: ``encodec_24khz`` or ``dac_44khz``.
    """

    def __init__(self, model: CodecExperiment, recipe: str) -> None:
        self.model, self.is_encodec = model, recipe == "encodec_24khz"
        self.generator = Step(model.codec, model.optimizer_settings)
        self.discriminator = Step(model.discriminators, model.discriminator_optimizer_settings)
        self.norms: dict[str, float] = {}
        self.batches = 0.0

    def train(self, index: int, seen: Seen) -> dict[str, float]:
        """One batch; returns its losses, scores and gradient norms."""
        model, real, figures = self.model, seen.audio, dict[str, Tensor]()
        n_codebooks: Any = model.rate_sampling.sample(model.seed, index, torch.arange(len(real)), model.codec)
        latent = model.codec.encoder(real)
        quantize: Any = residual_vq if self.is_encodec else factorized_vq
        quantized, latent_losses = quantize(model.codec.quantizer, latent, n_codebooks, seen.codes)
        fake = same_length(model.codec.decoder(quantized), real.shape[-1])
        chosen = model.rate_sampling.index(model.seed, index) if self.is_encodec else 0  # type: ignore[operator]
        judge: Callable[[Tensor], list[DiscriminatorOutput]] = model.discriminators[chosen]

        learns = model.schedule.discriminators_learn(index)
        first = model.update_order == "discriminator_first"
        if learns:
            judged = judge(real), judge(fake.detach())
            figures["discriminator"] = (encodec_hinge if self.is_encodec else dac_hinge)(*judged)
            figures["discriminator"].backward()
            figures |= self.scores(*judged)
            if first:
                figures["discriminator_grad_norm"] = self.discriminator(index)
        for_generator = judge(real), judge(fake)
        if not learns and not first:
            figures |= self.scores(*for_generator)
        losses = (encodec_losses if self.is_encodec else dac_losses)(model, real, fake)
        losses["adversarial"] = (encodec_adversarial if self.is_encodec else dac_adversarial)(for_generator[1])
        losses["feature"] = (encodec_matching if self.is_encodec else dac_matching)(*for_generator)
        of_discriminators = [copy.deepcopy(p.grad) for p in model.discriminators.parameters()]
        self.backward(fake, losses, latent_losses)
        for parameter, gradient in zip(model.discriminators.parameters(), of_discriminators, strict=True):
            parameter.grad = gradient  # what the generator's losses left there is not theirs to learn from
        if learns and not first:
            figures["discriminator_grad_norm"] = self.discriminator(index)
        figures["generator_grad_norm"] = self.generator(index)
        return {name: float(value.detach()) for name, value in (figures | losses | latent_losses).items()}

    def backward(self, fake: Tensor, losses: dict[str, Tensor], latent_losses: dict[str, Tensor]) -> None:
        """The generator's: EnCodec's losses one after the other, balanced at its audio; DAC's all at once."""
        weights = vars(self.model.weights)
        latent = total(weights[name] * loss for name, loss in latent_losses.items())
        if not self.is_encodec:
            (total(weights[name] * loss for name, loss in losses.items()) + latent).backward()
            return
        gradients = {name: torch.autograd.grad(loss, fake, retain_graph=True)[0] for name, loss in losses.items()}
        fake.backward(self.balanced(gradients, {name: weights[name] for name in losses}), retain_graph=True)
        latent.backward()

    def balanced(self, gradients: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
        """One gradient of all (EnCodec eq. 5)."""
        balancer: Any = self.model.balancer
        self.batches = balancer.decay * self.batches + 1
        for name, gradient in gradients.items():
            norm = float(mean(item.norm() for item in gradient))
            self.norms[name] = balancer.decay * self.norms.get(name, 0.0) + norm
        share = {name: balancer.total_norm * weights[name] / sum(weights.values()) for name in weights}
        scaled = [share[name] * gradient / (self.norms[name] / self.batches) for name, gradient in gradients.items()]
        return torch.stack(scaled).sum(0)

    @staticmethod
    def scores(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> dict[str, Tensor]:
        judged = {"score_real": real, "score_fake": fake}
        return {name: mean(one.logits.mean() for one in outputs) for name, outputs in judged.items()}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:You defined a `validation_step` but have no")
@pytest.mark.parametrize("order", ["discriminator_first", pytest.param("joint", marks=pytest.mark.slow)])
@pytest.mark.parametrize("recipe", SETTINGS)
def test_fifty_batches_have_the_losses_of_a_plain_loop(recipe: str, order: str, build: Any) -> None:
    """Losses, mean logits and gradient norms; both start from the same weights and see the same batches."""
    model = build(recipe, BATCHES, model__update_order=order, **SETTINGS[recipe]).model
    plain = PlainLoop(copy.deepcopy(model), recipe)
    recorder = Recorder()
    trainer = lightning.Trainer(
        max_steps=BATCHES,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[recorder],
    )
    audio = 0.1 * torch.randn(ITEMS * BATCHES, 1, SAMPLES, generator=torch.Generator().manual_seed(0))
    trainer.fit(model, DataLoader(audio, batch_size=ITEMS))  # type: ignore[arg-type]
    assert len(recorder.seen) == BATCHES
    for index, seen in enumerate(recorder.seen):
        result = plain.train(index, seen)
        assert result.keys() == seen.figures.keys()
        for name, value in result.items():
            assert seen.figures[name] == pytest.approx(value, **tolerance(name, index)), f"{name} of batch {index}"
