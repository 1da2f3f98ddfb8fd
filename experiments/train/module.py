"""The LightningModule that trains a codec against discriminators."""

import copy
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import lightning
import torch
from torch import Tensor, nn

from codeclab.benchmarks.metrics.registry import QUICK_METRICS
from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.discriminators.adversarial import AdversarialLoss, HingeLoss
from codeclab.discriminators.base import Discriminator
from codeclab.discriminators.ensemble import Ensemble, ensembles
from codeclab.discriminators.feature_matching import FeatureLoss, FeatureMatchingLoss
from codeclab.experiments.train.arguments import check_arguments
from codeclab.experiments.train.average import move_average
from codeclab.experiments.train.balancer import Balancer
from codeclab.experiments.train.batch import training_batch, validation_batch
from codeclab.experiments.train.checkpoint import EXPERIMENT, accept_former_names, describe_arguments, read_arguments
from codeclab.experiments.train.compile import compile_networks, retained_buffers
from codeclab.experiments.train.cuda_graphs import CudaGraphs, StepGraphs, refuse_graphs
from codeclab.experiments.train.logs import TrainingLogs
from codeclab.experiments.train.losses.base import ReconstructionLoss
from codeclab.experiments.train.measured_clips import measured_clips
from codeclab.experiments.train.non_finite import finite_figures
from codeclab.experiments.train.orders import Discriminators, standing_still
from codeclab.experiments.train.player import Player
from codeclab.experiments.train.profiling import profile
from codeclab.experiments.train.quantizer_start import audio_from, start_codebooks
from codeclab.experiments.train.rate_sampling import AllCodebooks, PerBatchBandwidth, RateSampling
from codeclab.experiments.train.schedule import Schedule, StepChoices
from codeclab.experiments.train.settings import LossWeights, OptimizerSettings
from codeclab.experiments.train.step_output import OUTPUT, StepOutput
from codeclab.experiments.train.update import CodecOutput, MicroBatchOutput, Update, UpdateOrder, mean_of_parts
from codeclab.experiments.train.validation import (
    Validation,
    ValidationOutput,
    decode_clips,
    measured_rates,
    most_telling,
)
from codeclab.quantizers.base import Quantizer


class CodecExperiment(lightning.LightningModule):
    """Trains a codec, which is assembled from parts, against discriminators; manual optimization, two optimizers.

    Args:
        encoder: encoder, from audio to a latent.
        quantizer: quantizer, from a latent to codes and back; its dimension is the encoder's.
        decoder: decoder, from a latent to audio, with the encoder's dimension and strides.
        sample_rate: sampling rate of the audio, Hz.
        bitrates: bitrates that the codec offers, kbps; None offers every number of codebooks.
        segment: duration of the segments into which the codec cuts audio at inference, seconds; None codes it whole.
        overlap: share of a segment that overlaps the next, in [0, 1).
        normalize: whether each segment is divided by its level, which is transmitted with the codes.
        discriminators: discriminators of one ensemble; an empty list trains without discriminators.
        ensemble_per_bandwidth: whether each bandwidth of ``PerBatchBandwidth`` has its own ensemble (EnCodec 3.4).
        discriminator_probability: probability that the discriminators learn from a batch, 0 to 1.
        quantizer_start: number of batches before the quantizer joins; until then encoder and decoder learn alone.
        quantizer_start_frames: number of latent frames from which codebooks are then initialized, at least 50 per
            entry; 0 initializes them from their first batch. It has no effect on quantizers without such an
            initialization.
        adversarial_start: number of batches before the discriminators join; until then the codec learns from the other
            losses alone. It has no effect without discriminators.
        discriminator_warmup: number of batches after that in which only the discriminators learn.
        rate_sampling: choice of the number of codebooks in training.
        waveform_loss: reconstruction loss on the waveform.
        spectral_loss: reconstruction loss on spectra.
        adversarial_loss: adversarial losses of generator and discriminators.
        feature_loss: feature-matching loss.
        weights: weights of the losses.
        balancer: balancer of the losses on the decoder's output (EnCodec eq. 5); None uses the plain weights.
        optimizer: settings of the generator's optimizer.
        discriminator_optimizer: settings of the discriminators' optimizer; None takes the generator's.
        update_order: order of the updates, ``discriminator_first``, as released, or ``joint``, which saves two passes.
        average_decay: decay per batch of an exponential average of the generator's weights, which is deployed; None
            deploys the last weights. After ``n`` batches the decay is at most ``(1 + n) / (10 + n)``.
        accumulate: number of parts into which each batch is split to save memory (more than 1 needs ``joint``).
        bitrate: bitrate at which checkpoints are compared, kbps; None takes the highest.
        validation_metrics: names of the metrics in validation, see ``codeclab evaluate --help``.
        compile: whether encoder, decoder and discriminators are compiled with ``torch.compile``.
        cuda_graphs: whether the whole step is recorded as CUDA graphs, one for each kind of batch, and replayed; on one
            CUDA device. This has not run on a GPU yet.
        seed: seed of every draw in training.
    """

    graph_backend: ClassVar[type[CudaGraphs]] = CudaGraphs

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
        update_order: UpdateOrder = "discriminator_first",
        average_decay: float | None = None,
        accumulate: int = 1,
        bitrate: float | None = None,
        validation_metrics: list[str] | None = None,
        compile: bool = False,
        cuda_graphs: bool = False,
        seed: int = 0,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.arguments = arguments
        self.automatic_optimization = False
        self.codec = Codec(encoder, quantizer, decoder, sample_rate, bitrates, segment, overlap, normalize)
        self.rate_sampling = rate_sampling or AllCodebooks()
        self.rate_sampling.check(self.codec)
        self.quantizer_start_frames = quantizer_start_frames
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
        self.cuda_graphs = cuda_graphs
        self.graphs: StepGraphs | None = None
        self.seed = seed
        self.bitrate = self.codec.bitrates[-1] if bitrate is None else bitrate
        self.main_codebooks = self.codec.n_codebooks_for(self.bitrate)
        self.validation_metrics = validation_metrics or list(QUICK_METRICS)
        plays = bool(discriminators) and (weights.adversarial > 0 or weights.feature > 0)
        n_ensembles = 1
        if ensemble_per_bandwidth and isinstance(self.rate_sampling, PerBatchBandwidth):
            n_ensembles = len(self.rate_sampling.bitrates)
        self.discriminators = ensembles(discriminators or [], n_ensembles, seed) if plays else nn.ModuleList()
        self.schedule = Schedule(
            seed,
            self.rate_sampling,
            len(self.discriminators),
            quantizer_start,
            adversarial_start,
            discriminator_warmup,
            discriminator_probability,
            accumulate,
        )
        check_arguments(self, plays, ensemble_per_bandwidth)
        self.average = copy.deepcopy(self.codec).requires_grad_(False) if average_decay is not None else None
        if compile:
            compile_networks(self.codec, self.discriminators)
        self.register_load_state_dict_pre_hook(accept_former_names)
        self.update = Update(update_order, weights, balancer, self.output_losses, self.manual_backward)

    @property
    def deployed_codec(self) -> Codec:
        """The codec to validate and to save: the average if there is one, otherwise the codec itself."""
        if self.average is None:
            return self.codec
        for averaged, buffer in zip(self.average.buffers(), self.codec.buffers(), strict=True):
            averaged.copy_(buffer)
        return self.average

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The generator's optimizer and, where there are discriminators, theirs."""
        optimizers = [self.optimizer_settings.build(self.codec.parameters())]
        if self.discriminators:
            optimizers.append(self.discriminator_optimizer_settings.build(self.discriminators.parameters()))
        return optimizers

    # ------------------------------------------------------------------ one batch

    def discriminators_of(self, batch: int) -> Discriminators | None:
        """The ensemble of discriminators for this batch; None without discriminators, or before they join."""
        return self._with_losses(self.schedule.ensemble_of(batch))

    def _with_losses(self, index: int | None) -> Discriminators | None:
        if index is None:
            return None
        ensemble = self.discriminators[index]
        assert isinstance(ensemble, Ensemble)
        return Discriminators(ensemble, self.adversarial_loss, self.feature_loss, self.weights.adversarial > 0)

    @profile("losses")
    def output_losses(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The reconstruction losses between ``fake`` and ``real``, both ``[B, C, N]``."""
        losses = {}
        if self.waveform_loss is not None:
            losses["waveform"] = self.waveform_loss(fake, real)
        if self.spectral_loss is not None:
            losses["spectral"] = self.spectral_loss(fake, real)
        return losses

    def players(self) -> dict[str, Player]:
        """The generator and, if there are any, the discriminators; only after a trainer created the optimizers."""
        wrapped = self.optimizers()
        optimizers = wrapped if isinstance(wrapped, list) else [wrapped]
        modules = {"generator": self.codec, "discriminator": self.discriminators}
        settings = (self.optimizer_settings, self.discriminator_optimizer_settings)
        batches = self.trainer.max_steps
        return {
            name: Player(module, optimizer, one, batches, counts_batches=name == "generator")
            for (name, module), optimizer, one in zip(modules.items(), optimizers, settings, strict=False)
        }

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, StepOutput]:
        """One batch for both players; ``batch`` is one of ``AudioData``, or audio ``[B, C, N]``."""
        given = training_batch(batch, self.codec.channels, self.global_step, self.global_rank)
        index, audio, items = given.index, given.audio, given.items
        if index == self.schedule.quantizer_start and self.quantizer_start_frames:
            later = audio_from(given, self.trainer, self.codec.channels)
            start_codebooks(self.codec, later, self.quantizer_start_frames)
            if self.graphs is not None:
                self.graphs.forget()
        players = self.players()
        choices = self.schedule.choices(index, items, self.codec)
        for name, player in players.items():
            if name == "generator" or choices.discriminators_learn:
                player.follow_schedule(index)
        numbers: Mapping[str, float]
        if self.graphs is None:
            whole = self._learn(audio, choices, players)
            numbers = finite_figures(whole.figures(), index, audio)
            self._move(choices, players)
        else:
            whole = self.graphs.run(audio, choices, lambda real, chosen: self._learn_and_move(real, chosen, players))
            numbers = self.graphs.late(whole.figures(), index, audio)
            if self.balancer is not None:
                self.balancer.last_shares = dict(whole.shares)  # those in a graph's memory are overwritten
        rates = {name: player.learning_rate(index) for name, player in players.items()}
        return {OUTPUT: whole.finished(numbers, rates, len(audio))}

    @retained_buffers()
    def _learn(self, audio: Tensor, choices: StepChoices, players: Mapping[str, Player]) -> MicroBatchOutput:
        """The players' passes over audio ``[B, C, N]``; what learns after its last part has its clipped gradients."""
        discriminators = self._with_losses(choices.ensemble)
        learner = players["discriminator"] if choices.discriminators_learn else None
        parts: list[tuple[float, MicroBatchOutput]] = []
        chunks = audio.chunk(len(choices.n_codebooks))
        for part, n_codebooks in zip(chunks, choices.n_codebooks, strict=True):
            share = len(part) / len(audio)
            if choices.warming and discriminators is not None:
                with standing_still(self.codec):  # including its codebooks
                    coded = self.code(part, n_codebooks, choices.quantize)
                parts.append((share, self.update.discriminators_alone(coded, discriminators, share)))
            else:
                coded = self.code(part, n_codebooks, choices.quantize)
                parts.append((share, self.update.both(coded, discriminators, learner, share)))
        whole = mean_of_parts(parts)
        if self._moves_last(choices):
            whole.norms["discriminator"] = players["discriminator"].clip()
        if not choices.warming:
            whole.norms["generator"] = players["generator"].clip()
        return whole

    def _moves_last(self, choices: StepChoices) -> bool:
        """Whether the discriminators step after the last part, rather than before the generator meets them."""
        return choices.discriminators_learn and (choices.warming or self.update_order == "joint")

    def _move(self, choices: StepChoices, players: Mapping[str, Player]) -> None:
        if self._moves_last(choices):
            players["discriminator"].step()
        players["generator"].step()  # without gradients, as in the warm-up, this only counts the batch
        if self.average is not None and not choices.warming:
            move_average(self.average, self.codec, self._average_share)

    def _learn_and_move(self, audio: Tensor, choices: StepChoices, players: Mapping[str, Player]) -> MicroBatchOutput:
        whole = self._learn(audio, choices, players)
        self._move(choices, players)
        return whole

    def code(self, real: Tensor, n_codebooks: int | Tensor | None, quantize: bool) -> CodecOutput:
        """The codec's pass over one part of a batch.

        Args:
            real: audio ``[B, C, N]``.
            n_codebooks: number of codebooks: None (all), one number, or ``int64 [B]`` on the CPU.
            quantize: whether the quantizer has joined.
        """
        sizes = self.codec.quantizer.codebook_sizes
        with profile("codec forward"):
            fake, quantized = self.codec(real, n_codebooks, quantize=quantize)
        return CodecOutput(real, fake.float(), quantized, sizes, self.codec.frame_rate)

    def _average_share(self) -> float:
        assert self.average_decay is not None
        learned = max(0, self.global_step - 1 - self.schedule.discriminator_warmup)
        # Weights of the first batches must leave quickly, because initializations such as k-means replace them.
        return 1 - min(self.average_decay, (1 + learned) / (10 + learned))

    # ------------------------------------------------------------------ CUDA graphs

    def refuse_graphs(self, trainer: lightning.Trainer) -> None:
        """Refuse ``cuda_graphs`` where a trainer's step cannot be recorded.

        Raises:
            ValueError: it cannot be; the message says why and what to do.
        """
        if self.cuda_graphs:
            device, devices = trainer.strategy.root_device, trainer.world_size
            refuse_graphs(self.graph_backend, self.codec, self.rate_sampling, device, devices)

    def on_fit_start(self) -> None:
        """Refuse a step that cannot be recorded, and data at another sampling rate.

        Raises:
            ValueError: the data module reads audio at another rate than the codec's.
        """
        self.refuse_graphs(self.trainer)
        rate = getattr(getattr(self.trainer, "datamodule", None), "sample_rate", self.codec.sample_rate)
        if rate != self.codec.sample_rate:
            raise ValueError(f"the data is read at {rate} Hz, and the codec is for {self.codec.sample_rate} Hz")

    def on_train_start(self) -> None:
        """Begin without graphs: weights have been moved and loaded."""
        if self.cuda_graphs:
            self.graphs = StepGraphs(self.graph_backend(self.device), self.zero_grad)

    def settle(self) -> None:
        """Check the numbers of the last batch, if they have not been yet, as before its weights are saved.

        Raises:
            NonFiniteLossError: one is NaN or infinite.
        """
        if self.graphs is not None:
            self.graphs.settle()

    def on_validation_start(self) -> None:
        """Validate nothing that is not finite."""
        self.settle()

    def on_train_end(self) -> None:
        """Check the last batch, and free the graphs' memory."""
        self.settle()
        self.graphs = None

    # ------------------------------------------------------------------ validation and test

    @property
    def monitored(self) -> str:
        """The metric by which checkpoints are compared."""
        return most_telling(self.validation_metrics)

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, ValidationOutput]:
        """A batch of validation clips, decoded by the deployed codec; ``Validation`` measures them."""
        fits = self.trainer.state.fn == "fit"
        start = self.schedule.quantizer_start
        joined = not fits or self.global_step > start or start == 0
        codec = self.deployed_codec
        clips = validation_batch(batch, codec.channels)
        rates = measured_rates(codec, self.main_codebooks, fits, joined)
        return {OUTPUT: ValidationOutput(clips, decode_clips(codec, clips.audio, rates))}

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, ValidationOutput]:
        """A batch of test clips, decoded by the deployed codec; ``Validation`` measures them."""
        return self.validation_step(batch, batch_idx)

    def measure_rate(self, split: str) -> float | None:
        """The kbps of a learnt-rate codec on the clips of a split, which it offers from then on.

        None if the rate is not learnt, or the split has no clips.
        """
        codec = self.deployed_codec
        if not codec.quantizer.learns_rate:
            return None
        clips = measured_clips(self.trainer, split, codec.channels)
        first = next(clips, None)
        if first is None:
            return None
        with torch.autocast(device_type=self.device.type, enabled=False):
            return codec.measure_rate(clip.to(self.device) for clip in chain([first], clips))

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the experiment's arguments as plain values, and no weights that are not finite."""
        self.settle()
        checkpoint[EXPERIMENT] = describe_arguments(self.arguments)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's is a descriptor of its own
        cls, checkpoint_path: str | Path, map_location: Any = None, strict: bool = True, **arguments: Any
    ) -> Self:
        """An experiment from a checkpoint alone: its parts, and their weights. No pickled class is loaded.

        Args:
            checkpoint_path: path of a checkpoint of this suite.
            map_location: device of the tensors, as for ``torch.load``.
            strict: whether a checkpoint with other tensors than those of the parts is refused.
            arguments: arguments of the constructor that replace stored ones.

        Raises:
            ValueError: the checkpoint does not contain the arguments of a part, or a class is unknown.
        """
        content = torch.load(checkpoint_path, map_location=map_location, weights_only=True)
        experiment = cls(**read_arguments(cls, content, str(checkpoint_path), arguments))
        experiment.load_state_dict(content["state_dict"], strict=strict)
        return experiment

    def configure_callbacks(self) -> list[lightning.Callback]:
        """The callbacks that log and measure, unless the trainer has them already."""
        present = {type(callback) for callback in self.trainer.callbacks}  # type: ignore[attr-defined]
        return [kind() for kind in (TrainingLogs, Validation) if kind not in present]
