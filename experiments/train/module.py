"""The one LightningModule: a codec against its critics."""

import copy
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.discriminators.adversarial import AdversarialLoss, HingeLoss
from codeclab.discriminators.base import Discriminator
from codeclab.discriminators.ensemble import Ensemble, reseeded_copy
from codeclab.discriminators.feature_matching import FeatureLoss, FeatureMatchingLoss
from codeclab.experiments.train.balancer import Balancer
from codeclab.experiments.train.compile import compile_networks
from codeclab.experiments.train.logs import TrainingLogs
from codeclab.experiments.train.losses.base import ReconstructionLoss
from codeclab.experiments.train.non_finite import finite_figures
from codeclab.experiments.train.quantizer_start import audio_from, start_codebooks
from codeclab.experiments.train.rate_sampling import AllCodebooks, PerBatchBandwidth, RateSampling
from codeclab.experiments.train.settings import LossWeights, OptimizerSettings
from codeclab.experiments.train.update import (
    Critics,
    GeneratorLosses,
    critic_loss,
    meet_updated_critics,
    share_one_pass,
    standing_still,
)
from codeclab.experiments.train.validation import Validation
from codeclab.quantizers.base import Quantized, Quantizer

UPDATE_DRAW = 1
"""Stream number of the draw that decides whether the critics learn from a batch."""


class CodecExperiment(TrainingLogs, Validation):
    """Trains a codec assembled from parts against discriminators; manual optimization, two optimizers.

    Args:
        encoder: audio to latent.
        quantizer: latent to codes and back; its dimension is the encoder's.
        decoder: latent to audio; its dimension is the encoder's, its strides mirror the encoder's.
        sample_rate: Hz.
        bitrates: kbps the codec offers; None offers every number of codebooks.
        segment: seconds the codec cuts audio into at inference; None codes it whole.
        overlap: share of a segment that overlaps the next.
        normalize: divide each segment by its level before coding, and transmit the level.
        discriminators: judged as one ensemble; empty trains without critics.
        ensemble_per_bandwidth: one ensemble for each bandwidth of ``PerBatchBandwidth`` (EnCodec 3.4).
        discriminator_probability: chance that the critics learn from a batch.
        quantizer_start: batches at the start without the quantizer: encoder and decoder learn alone.
        quantizer_start_frames: latent frames from which its codebooks then start, at least 50 an entry; 0 leaves them
            the frames of their first batch. Where a quantizer has no such start it makes no difference.
        adversarial_start: batches at the start without critics: the codec learns from the other losses alone. Where
            there are no critics it makes no difference.
        discriminator_warmup: batches, after those, from which only the critics learn.
        rate_sampling: who chooses the number of codebooks while training.
        waveform_loss: reconstruction loss on the waveform.
        spectral_loss: reconstruction loss on spectra.
        adversarial_loss: both players' adversarial losses.
        feature_loss: feature matching.
        weights: how much each loss counts.
        balancer: balances the losses on the decoder's output (EnCodec eq. 5); None weighs them as they are.
        optimizer: the generator's.
        discriminator_optimizer: the critics'; None takes the generator's settings.
        update_order: ``discriminator_first`` as the released codes, or ``joint``, which saves two passes.
        average_decay: keep an exponential average of the generator's weights and deploy that; None deploys the last.
            After ``n`` batches the decay is at most ``(1 + n) / (10 + n)``.
        accumulate: split each batch into this many parts to save memory (needs ``joint``).
        bitrate: kbps at which checkpoints are compared; None takes the highest.
        validation_metrics: names of the metrics run in validation, see ``codeclab evaluate --help``.
        compile: compile encoder, decoder and critics with ``torch.compile``.
        seed: of every draw in training.
    """

    def __init__(
        self,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder,
        sample_rate: int,
        bitrates: list[float] | None = None,
        segment: float | None = None,
        overlap: float = 0.01,
        normalize: bool = False,
        discriminators: list[Discriminator] | None = None,
        ensemble_per_bandwidth: bool = False,
        discriminator_probability: float = 1.0,
        quantizer_start: int = 0,
        quantizer_start_frames: int = 0,
        adversarial_start: int = 0,
        discriminator_warmup: int = 0,
        rate_sampling: RateSampling | None = None,
        waveform_loss: ReconstructionLoss | None = None,
        spectral_loss: ReconstructionLoss | None = None,
        adversarial_loss: AdversarialLoss | None = None,
        feature_loss: FeatureLoss | None = None,
        weights: LossWeights = LossWeights(),  # noqa: B008 (read only)
        balancer: Balancer | None = None,
        optimizer: OptimizerSettings = OptimizerSettings(),  # noqa: B008 (read only)
        discriminator_optimizer: OptimizerSettings | None = None,
        update_order: Literal["discriminator_first", "joint"] = "discriminator_first",
        average_decay: float | None = None,
        accumulate: int = 1,
        bitrate: float | None = None,
        validation_metrics: list[str] | None = None,
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.codec = Codec(encoder, quantizer, decoder, sample_rate, bitrates, segment, overlap, normalize)
        self.rate_sampling = rate_sampling or AllCodebooks()
        self.rate_sampling.check(self.codec)
        self.discriminator_probability = discriminator_probability
        self.quantizer_start = quantizer_start
        self.quantizer_start_frames = quantizer_start_frames
        self.adversarial_start = adversarial_start
        self.discriminator_warmup = discriminator_warmup
        self.weights = weights
        self.waveform_loss = waveform_loss if weights.waveform else None
        self.spectral_loss = spectral_loss if weights.spectral else None
        self.adversarial_loss = adversarial_loss or HingeLoss()
        self.feature_loss = (feature_loss or FeatureMatchingLoss()) if weights.feature else None
        self.balancer = balancer
        self.optimizer_settings = optimizer
        self.discriminator_optimizer_settings = discriminator_optimizer or optimizer
        self.update_order = update_order
        self.average_decay = average_decay
        self.accumulate = accumulate
        self.seed = seed
        self.bitrate = self.codec.bitrates[-1] if bitrate is None else bitrate
        self.main_codebooks = self.codec.n_codebooks_for(self.bitrate)
        self.validation_metrics = validation_metrics or ["mel_distance", "stft_distance", "si_snr"]
        plays = bool(discriminators) and (weights.adversarial > 0 or weights.feature > 0)
        self._check_arguments(plays, ensemble_per_bandwidth)
        self.critics = self._ensembles(discriminators or [], ensemble_per_bandwidth) if plays else nn.ModuleList()
        self.average = copy.deepcopy(self.codec).requires_grad_(False) if average_decay is not None else None
        if compile:
            compile_networks(self.codec, self.critics)

    def _check_arguments(self, plays: bool, ensemble_per_bandwidth: bool) -> None:
        if not 0 <= self.discriminator_probability <= 1:
            raise ValueError(f"discriminator_probability is {self.discriminator_probability}; it should be 0 to 1")
        for name in ("quantizer_start", "quantizer_start_frames"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it should be 0 or more")
        if self.adversarial_start < 0:
            raise ValueError(f"adversarial_start is {self.adversarial_start}; it should be 0 or more batches")
        if self.discriminator_warmup < 0 or (self.discriminator_warmup and not plays):
            raise ValueError(
                f"discriminator_warmup is {self.discriminator_warmup}; it should be 0 or, with critics, more batches"
            )
        if self.adversarial_start and not (self.waveform_loss or self.spectral_loss):
            raise ValueError(
                f"until batch {self.adversarial_start} (adversarial_start) there is nothing to learn from: give a "
                "waveform_loss or a spectral_loss with a positive weight"
            )
        if self.accumulate < 1:
            raise ValueError(f"accumulate is {self.accumulate}; it should be at least 1")
        if self.accumulate > 1 and plays and self.update_order != "joint":
            raise ValueError(
                f"accumulate {self.accumulate} needs update_order joint: with discriminator_first every part's graph "
                "would have to be held until the critics have seen the whole batch"
            )
        if ensemble_per_bandwidth and not isinstance(self.rate_sampling, PerBatchBandwidth):
            raise ValueError(
                f"ensemble_per_bandwidth needs one bandwidth per batch, but rate_sampling is "
                f"{type(self.rate_sampling).__name__}; use PerBatchBandwidth, or ensemble_per_bandwidth false"
            )
        if not (plays or self.waveform_loss or self.spectral_loss):
            raise ValueError(
                "nothing to learn from: give discriminators, a waveform_loss or a spectral_loss, and a positive weight"
            )

    def _ensembles(self, discriminators: list[Discriminator], per_bandwidth: bool) -> nn.ModuleList:
        first = Ensemble(discriminators)
        if not (per_bandwidth and isinstance(self.rate_sampling, PerBatchBandwidth)):
            return nn.ModuleList([first])
        others = range(1, len(self.rate_sampling.bitrates))
        return nn.ModuleList([first, *(reseeded_copy(first, self.seed + index) for index in others)])

    @property
    def deployed_codec(self) -> Codec:
        """The codec to validate and to save: the averaged one where an average is kept."""
        if self.average is None:
            return self.codec
        for kept, buffer in zip(self.average.buffers(), self.codec.buffers(), strict=True):
            kept.copy_(buffer)
        return self.average

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The generator's optimizer and, where there are critics, theirs."""
        optimizers = [self.optimizer_settings.build(self.codec.parameters())]
        if self.critics:
            optimizers.append(self.discriminator_optimizer_settings.build(self.critics.parameters()))
        return optimizers

    # ------------------------------------------------------------------ one batch

    def critics_learn(self, batch: int) -> bool:
        """Whether the critics learn from this batch; a function of the seed and the batch alone."""
        rng = np.random.default_rng([self.seed, UPDATE_DRAW, batch])
        return bool(rng.random() < self.discriminator_probability)

    def critics_of(self, batch: int) -> Critics | None:
        """The ensemble that judges this batch; None without critics, or before they join."""
        if not self.critics or batch < self.adversarial_start:
            return None
        index = 0
        if len(self.critics) > 1 and isinstance(self.rate_sampling, PerBatchBandwidth):
            index = self.rate_sampling.index(self.seed, batch)
        ensemble = self.critics[index]
        assert isinstance(ensemble, Ensemble)
        return Critics(ensemble, self.adversarial_loss, self.feature_loss, self.weights.adversarial > 0)

    def output_losses(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The reconstruction losses between ``fake`` and ``real``, both ``[B, C, N]``."""
        losses = {}
        if self.waveform_loss is not None:
            losses["waveform"] = self.waveform_loss(fake, real)
        if self.spectral_loss is not None:
            losses["spectral"] = self.spectral_loss(fake, real)
        return losses

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One batch for both players; ``batch`` is what ``AudioData`` yields."""
        index = int(batch["batch"])
        if index == self.quantizer_start and self.quantizer_start_frames:
            start_codebooks(self.codec, audio_from(batch, self.trainer), self.quantizer_start_frames)
        judged = self.critics_of(index) is not None
        warming = judged and index < self.adversarial_start + self.discriminator_warmup
        learn = judged and (warming or self.critics_learn(index))
        audio, items = batch["audio"], batch["item"]
        parts = min(self.accumulate, len(audio))
        figures: dict[str, Tensor] = {}
        for part_audio, part_items in zip(audio.chunk(parts), items.chunk(parts), strict=True):
            share = len(part_audio) / len(audio)
            if warming:
                played = self._show_critics(part_audio, part_items, index, share)
            else:
                played = self._play(part_audio, part_items, index, learn, share)
            figures = {name: figures.get(name, 0) + share * value for name, value in played.items()}
        critics_step = learn and (warming or self.update_order == "joint")
        if critics_step:
            figures["discriminator_grad_norm"] = self._clip(1)
        if not warming:
            figures["generator_grad_norm"] = self._clip(0)
        logs = finite_figures(figures, index, audio)
        if critics_step:
            self._step(1)
        self._step(0)  # without gradients it moves nothing and counts the batch
        if not warming:
            self._update_average()
        self.log_training(logs)

    def _reconstruct(self, real: Tensor, items: Tensor, index: int) -> tuple[Tensor, Quantized]:
        """The codec's pass over one part of a batch ``[B, C, N]``, at the rates drawn for it."""
        n_codebooks = self.rate_sampling.sample(self.seed, index, items, self.codec)
        if isinstance(n_codebooks, Tensor):
            n_codebooks = n_codebooks.to(real.device)
        # Of these codes: a learnt bitrate has others once the optimizer has stepped.
        self._sizes = self.codec.quantizer.codebook_sizes
        fake, quantized = self.codec(real, n_codebooks, quantize=index >= self.quantizer_start)
        return fake.float(), quantized

    def _show_critics(self, real: Tensor, items: Tensor, index: int, share: float) -> dict[str, Tensor]:
        """The critics' backward pass on one part of a batch of their warm-up; the codec stands still, codebooks too."""
        with standing_still(self.codec):
            fake, quantized = self._reconstruct(real, items, index)
        critics = self.critics_of(index)
        assert critics is not None
        loss = critic_loss(critics, real, fake)
        self._backward(loss * share)
        self._codes = quantized.codes
        return {"discriminator": loss.detach(), **critics.scores}

    def _play(self, real: Tensor, items: Tensor, index: int, learn: bool, share: float) -> dict[str, Tensor]:
        """Both players' backward passes on one part of a batch; returns what to log."""
        fake, quantized = self._reconstruct(real, items, index)
        critics = self.critics_of(index)
        norms: dict[str, Tensor] = {}
        critics_loss = None
        if critics is None:
            leaf = fake.detach().requires_grad_()
            players = GeneratorLosses(leaf, self.output_losses(leaf, real))
        elif self.update_order == "joint":
            players, critics_loss = share_one_pass(critics, real, fake, lambda x: self.output_losses(x, real), learn)
        else:
            if learn:
                critics_loss = critic_loss(critics, real, fake)
                self._backward(critics_loss)
                norms["discriminator_grad_norm"] = self._clip(1)
                self._step(1)
            players = meet_updated_critics(critics, real, fake, lambda x: self.output_losses(x, real))
        gradient = self._output_gradient(players, share)
        if critics_loss is not None and self.update_order == "joint":
            self._backward(critics_loss * share)
        latent = [getattr(self.weights, name, 1.0) * loss for name, loss in quantized.losses.items()]
        self._backward(((fake * gradient).sum() + sum(latent)) * share)
        self._codes = quantized.codes
        # In the order they are computed, so that the first that is not finite is the cause of the others.
        losses = {} if critics_loss is None else {"discriminator": critics_loss}
        losses |= players.losses | quantized.losses | norms | (critics.scores if critics else {})
        losses["bitrate"] = quantized.bits.mean() * self.codec.frame_rate / 1000
        return {name: loss.detach() for name, loss in losses.items()}

    def _backward(self, loss: Tensor) -> None:
        # Lightning runs the step under autocast, which would round the backward pass of float32 losses, too.
        with torch.autocast(loss.device.type, enabled=False):
            self.manual_backward(loss)

    def _output_gradient(self, players: GeneratorLosses, share: float) -> Tensor:
        weights = {name: getattr(self.weights, name) for name in players.losses}
        with torch.autocast(players.leaf.device.type, enabled=False):
            if self.balancer is None:
                return players.weighted_gradient(weights)
            gradient = self.balancer.combine(players.gradients(), weights)
        # A balanced gradient has a fixed norm per item, whatever the batch: parts of a batch add up unscaled.
        return gradient / share if self.balancer.enabled else gradient

    def _clip(self, player: int) -> Tensor:
        """Scale a player's gradients (0 generator, 1 critics) down to their largest norm; returns that before."""
        settings = (self.optimizer_settings, self.discriminator_optimizer_settings)[player]
        module = (self.codec, self.critics)[player]
        parameters = [p for p in module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if settings.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm)
        return norm

    def _step(self, player: int) -> None:
        """Schedule and step one player, and leave it without gradients."""
        settings = (self.optimizer_settings, self.discriminator_optimizer_settings)[player]
        optimizers = self.optimizers()
        wrapped = optimizers[player] if isinstance(optimizers, list) else optimizers
        assert isinstance(wrapped, LightningOptimizer)
        for group in wrapped.param_groups:
            group["lr"] = settings.rate(self.global_step, self.trainer.max_steps)
        # Lightning counts every step of a wrapped optimizer: only the generator's may advance global_step,
        # so that it counts batches even when a batch leaves the critics alone.
        (wrapped if player == 0 else wrapped.optimizer).step()
        wrapped.optimizer.zero_grad(set_to_none=True)

    def _update_average(self) -> None:
        if self.average is None or self.average_decay is None:
            return
        # What the first batches overturn, such as entries that k-means replaces, must not linger in the average.
        batches = max(0, self.global_step - 1 - self.discriminator_warmup)
        decay = min(self.average_decay, (1 + batches) / (10 + batches))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.codec.parameters()), 1 - decay)
