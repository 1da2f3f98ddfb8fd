"""The LightningModule that trains the language model on a codec's codes (EnCodec 3.3)."""

import math
from typing import Any, Literal

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from codeclab.codecs.entropy.language_model import LanguageModel, shifted
from codeclab.experiments.language_model.sequences import CodesBatch
from codeclab.experiments.train.non_finite import finite_figures
from codeclab.experiments.train.player import Player
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.quantizers.base import ABSENT

BANDWIDTH, OFFSET = 0xBA4E, 0x0FF5
"""Keep these draws apart from others made of the same seed and batch."""


class LanguageModelExperiment(lightning.LightningModule):
    """Trains a language model to predict the codes of a codec that does not change.

    Each batch has one bandwidth, each of the codec's equally likely, and each of its sequences a position of its own
    from which the sinusoids count. The loss is the mean cross entropy over codebooks and time steps.

    Args:
        n_codebooks: number of the codec's codebooks.
        codebook_size: entries of each.
        frame_rate: frame rate of the codec, Hz.
        bandwidths: numbers of codebooks that the codec offers.
        dimension: number of channels of the model.
        n_layers: attention layers.
        n_heads: heads of each.
        feedforward: channels of the feed-forward blocks.
        receptive_seconds: time that each attention sees back, s.
        most_offset: positions are offset by less than this, frames; 1 offsets none.
        start: ``random`` as in the paper, or ``codec``: of the codec's vectors and frequencies (``start_from_codec``).
        optimizer: settings of the optimizer.
        seed: seed of the draws.

    Raises:
        ValueError: sizes that make no model.
    """

    def __init__(
        self,
        n_codebooks: int = 32,
        codebook_size: int = 1024,
        frame_rate: float = 75.0,
        bandwidths: list[int] | None = None,
        dimension: int = 200,
        n_layers: int = 5,
        n_heads: int = 8,
        feedforward: int = 800,
        receptive_seconds: float = 3.5,
        most_offset: int = 10000,
        start: Literal["random", "codec"] = "random",
        optimizer: OptimizerSettings = OptimizerSettings(),  # noqa: B008 (read only)
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        if receptive_seconds <= 0 or most_offset < 1:
            raise ValueError(
                f"receptive_seconds is {receptive_seconds} and most_offset {most_offset}; they should be above 0 "
                "and at least 1"
            )
        context = max(1, int(receptive_seconds * frame_rate))
        self.model = LanguageModel(
            n_codebooks, codebook_size, dimension, n_layers, n_heads, feedforward, context=context
        )
        self.frame_rate = frame_rate
        self.bandwidths = sorted(bandwidths or [n_codebooks])
        self.most_offset = most_offset
        self.start = start
        self.optimizer_settings = optimizer
        self.seed = seed
        self._valid: dict[int, Tensor] = {}

    def bandwidth(self, batch: int) -> int:
        """The number of codebooks of a batch, a function of the seed and the batch."""
        rng = np.random.default_rng([self.seed, BANDWIDTH, batch])
        return self.bandwidths[int(rng.integers(len(self.bandwidths)))]

    def offsets(self, batch: int, items: Tensor) -> Tensor:
        """Positions at which the items of a batch begin, ``int64 [B]``."""
        drawn = [np.random.default_rng([self.seed, OFFSET, batch, item]) for item in items.tolist()]
        return torch.tensor([int(rng.integers(self.most_offset)) for rng in drawn], device=self.device)

    def bits(self, codes: Tensor, offsets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the model spends on codes.

        Args:
            codes: ``int64 [B, K, T]``; ``ABSENT`` ones cost nothing.
            offsets: position of each sequence's first step, ``int64 [B]``; None begins at 0.

        Returns:
            bits of each codebook, summed over items and steps, ``[K]``, and how many steps were not ``ABSENT``.
        """
        state = None if offsets is None else self.model.start(len(codes), offsets)
        logits, _ = self.model(shifted(codes.clamp(min=0)), state)
        # [B, size, K, T] was [B, K, T, size] before it was turned for the coder.
        rows = logits.float().permute(2, 0, 3, 1)
        targets = codes.transpose(0, 1)
        nats = F.cross_entropy(rows.flatten(0, 2), targets.flatten(), ignore_index=ABSENT, reduction="none")
        return nats.view(targets.shape).sum((1, 2)) / math.log(2), (targets[0] != ABSENT).sum()

    def training_step(self, batch: CodesBatch, batch_idx: int) -> None:
        """One batch; ``batch`` is what ``CodesData`` yields."""
        index = int(batch["batch"])
        codes = batch["codes"][:, : self.bandwidth(index)]
        spent, steps = self.bits(codes, self.offsets(index, batch["item"]))
        per_code = spent / steps
        loss = per_code.mean() * math.log(2)
        self.manual_backward(loss)
        wrapped = self.optimizers()
        assert isinstance(wrapped, LightningOptimizer)
        player = Player(self.model, wrapped, self.optimizer_settings, self.trainer.max_steps, counts_batches=True)
        figures = {"bits": per_code.mean(), "grad_norm": player.clip()}
        figures |= {f"bits_{k:02d}": value for k, value in enumerate(per_code)}
        logs = finite_figures(figures, index, codes)
        player.follow_schedule(self.global_step)
        player.step()
        self.log("train/bits", logs["bits"], prog_bar=True, logger=False)
        # By the batch's number: Lightning counts from its own checkpoint loops, and repeats figures of former batches.
        if self.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            values = {f"train/{name}": value for name, value in logs.items()}
            for logger in self.trainer.loggers:
                logger.log_metrics(values | {"train/lr": wrapped.param_groups[0]["lr"]}, self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's sums."""
        self._valid = {}

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Add up what chunks cost, coded each from its start, at every bandwidth."""
        for count in self.bandwidths:
            spent, steps = self.bits(batch[:, :count])
            bits_and_steps = torch.cat([spent, steps[None]]).double()
            self._valid[count] = self._valid.get(count, torch.zeros_like(bits_and_steps)) + bits_and_steps

    def on_validation_epoch_end(self) -> None:
        """Log bits per code and kbps of each bandwidth, and bits of each codebook at the highest."""
        per_code = {count: sums[:-1] / sums[-1] for count, sums in self._valid.items()}
        figures: dict[str, Any] = {"valid/bits": torch.stack([bits.mean() for bits in per_code.values()]).mean()}
        figures |= {f"valid/kbps_{n:02d}": bits.sum() * self.frame_rate / 1000 for n, bits in per_code.items()}
        figures |= {f"valid/bits_{k:02d}": value for k, value in enumerate(per_code[self.bandwidths[-1]])}
        self.log_dict({name: value.float() for name, value in figures.items()} | {"step": float(self.global_step)})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer; its schedule is set batch by batch."""
        return self.optimizer_settings.build(self.model.parameters())
