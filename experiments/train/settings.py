"""Groups of settings that are one block of a recipe."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn


@dataclass
class LossWeights:
    """The weight of each loss; 0 omits it.

    With the balancer, the first four are shares of the gradient at the decoder's output (EnCodec eq. 5); without it
    they are plain factors. The others, which depend on the latent alone, are always plain factors. A loss of your own
    quantizer that is not named here has the weight 1.

    Attributes:
        waveform: reconstruction loss on the waveform.
        spectral: reconstruction loss on (mel) spectra.
        adversarial: the generator's adversarial loss.
        feature: feature matching.
        commitment: the quantizer's commitment loss.
        codebook: the quantizer's codebook loss.
        rate: the quantizer's rate term.
        prior: the quantizer's loss on its learnt prior.
    """

    waveform: float = 0.0
    spectral: float = 1.0
    adversarial: float = 1.0
    feature: float = 1.0
    commitment: float = 1.0
    codebook: float = 1.0
    rate: float = 1.0
    prior: float = 1.0


@dataclass
class OptimizerSettings:
    """The optimizer of one player, generator or discriminators.

    Attributes:
        name: class of the optimizer, ``Adam`` or ``AdamW``.
        lr: learning rate at the first batch, before warm-up.
        betas: decays of the running averages.
        eps: constant added to the root of the average square, which slows weights with tiny gradients; positive.
        weight_decay: weight decay, decoupled for AdamW (PyTorch's default 0.01), L2 for Adam; None takes PyTorch's
            default.
        decay: factor of the learning rate per batch (the papers' gamma).
        schedule: schedule of the learning rate; ``exponential`` is ``decay`` alone, ``cosine`` also goes to zero at the
            end.
        warmup: number of batches over which the learning rate rises from zero.
        clip_norm: upper limit of the gradient norm, to which larger gradients are scaled down; None for no limit.
    """

    name: Literal["Adam", "AdamW"] = "Adam"
    lr: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.9)
    eps: float = 1e-8
    weight_decay: float | None = None
    decay: float = 1.0
    schedule: Literal["exponential", "cosine"] = "exponential"
    warmup: int = 0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.warmup < 0:
            raise ValueError(f"warmup is {self.warmup}; it should be 0 or more batches")
        if not self.eps > 0:
            raise ValueError(f"eps is {self.eps}; it should be above 0, like PyTorch's 1e-8")

    def rate(self, batch: int, batches: int) -> float:
        """The learning rate of a batch.

        Args:
            batch: index of the batch, from 0.
            batches: number of batches of the whole training; Lightning's -1 for no limit fits ``exponential`` alone.

        Raises:
            ValueError: the schedule is ``cosine``, and the training has no end.
        """
        rate = self.lr * self.decay**batch
        if self.warmup:
            rate *= min(1.0, (batch + 1) / self.warmup)
        if self.schedule == "cosine":
            if batches < 1:
                raise ValueError("the cosine schedule ends with the training: give the trainer max_steps")
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, batch / batches)))
        return rate

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer over ``parameters``."""
        kind = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[self.name]
        decay = {"Adam": 0.0, "AdamW": 0.01}[self.name] if self.weight_decay is None else self.weight_decay
        trained = list(parameters)
        # The fused optimizer needs one kernel for all weights, instead of ten for each group of a few.
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
        return kind(trained, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=decay, fused=fused or None)
