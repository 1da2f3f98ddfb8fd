"""The Gumbel-softmax quantizer: entries drawn from a learnt distribution, and coded with a learnt prior."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import CodebookChoice, check_codes, check_latent, read_choice
from codeclab.quantizers.precision import full_float32
from codeclab.quantizers.randomness import seeded_generator, uniform_like

TRAINING, TESTING = range(2)


class GumbelSoftmax(Quantizer):
    """A sum of codebook entries, each drawn from a softmax over its codebook (EnCodec, A.2.2).

    Codebook ``i`` has centroids ``C_i``, a bias ``b_i`` and prior logits ``l_i``; for a frame ``z`` of the latent,
    ``q_i = softmax(C_i z + b_i)`` and ``p_i = softmax(alpha l_i)``. Training mode gives the differentiable eq. (8), the
    sum of the Gumbel-softmax weighted centroids; eval mode the sum of one centroid of each, drawn from ``q_i`` or its
    most probable. Bits per frame are the cross entropy ``w = sum_i sum_k -q_i log2 p_i``, and ::

        losses["rate"]  = |w(q, sg[p]) frame_rate / 1000 - target_bitrate|    kbps, teaches encoder and centroids
        losses["prior"] = w(sg[q], p) frame_rate / 1000                       kbps, teaches the prior

    with means over items and frames. Above the target, their sum is the paper's single term. Below it, this loss raises
    the rate again, which the paper does not specify. Otherwise the codec collapses to one code for all frames: the
    prior follows the codes that the encoder prefers, which makes them cheaper still. Where items have their own numbers
    of codebooks, codebooks beyond it are not counted.

    Draws in eval mode depend on seed and frame alone, so an item's codes do not depend on its batch.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of codebooks, the paper's ``N_C``.
        codebook_size: centroids of each codebook, the paper's Omega.
        temperature: temperature of the Gumbel-softmax, positive.
        choice: choice of the entry in eval mode, drawn from ``q`` ("sample", the paper's) or the most probable
            ("argmax").
        target_bitrate: target of the learnt bitrate, kbps.
        frame_rate: latent frames per second, Hz.
        seed: seed of all draws.
        alpha: factor by which the prior learns faster than the weights, positive; 1 in the paper.
        measured_bits: bits per frame that codes cost under the prior, set by ``Codec.measure_rate`` and not by users.

    Raises:
        ValueError: a size is below 1; a temperature, target or frame rate is not positive; or the choice is unknown.
    """

    learns_rate: ClassVar[bool] = True

    def __init__(
        self,
        dimension: int = 128,
        n_codebooks: int = 8,
        codebook_size: int = 1024,
        temperature: float = 0.5,
        choice: Literal["sample", "argmax"] = "sample",
        target_bitrate: float = 6.0,
        frame_rate: float = 75.0,
        seed: int = 0,
        alpha: float = 1.0,
        measured_bits: float | None = None,
    ) -> None:
        super().__init__()
        if min(dimension, n_codebooks, codebook_size) < 1:
            raise ValueError(
                f"dimension {dimension}, n_codebooks {n_codebooks} and codebook_size {codebook_size} should be at "
                "least 1"
            )
        if min(temperature, target_bitrate, frame_rate, alpha) <= 0:
            raise ValueError(
                f"temperature {temperature}, target_bitrate {target_bitrate} kbps, frame_rate {frame_rate} Hz and "
                f"alpha {alpha} should be positive"
            )
        if choice not in ("sample", "argmax"):
            raise ValueError(f'choice is "{choice}"; it should be "sample" or "argmax"')
        self.dimension = dimension
        self.n_codebooks = n_codebooks
        self.codebook_size = codebook_size
        self.temperature = temperature
        self.choice = choice
        self.target_bitrate = target_bitrate
        self.frame_rate = frame_rate
        self.seed = seed
        self.alpha = alpha
        self.measured_bits = measured_bits
        self.centroids = nn.Parameter(torch.randn(n_codebooks, codebook_size, dimension) / dimension**0.5)
        self.bias = nn.Parameter(torch.zeros(n_codebooks, codebook_size))
        self.prior_logits = nn.Parameter(torch.zeros(n_codebooks, codebook_size))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    updates: Tensor

    @property
    def codebook_sizes(self) -> list[int]:
        """Centroids of each codebook."""
        return [self.codebook_size] * self.n_codebooks

    @property
    def codes_each_frame_alone(self) -> bool:
        """False where codes are drawn, because the draw depends on the frame's position."""
        return self.choice == "argmax"

    def log_prior(self) -> Tensor:
        """Natural log-probabilities ``[K, size]`` of the codes, for entropy coding."""
        return (self.alpha * self.prior_logits.float()).log_softmax(-1)

    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``: softly in training mode, to single entries in eval mode.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            log_q = self._log_posterior(latent.float(), choice.most)
            used = self._used(choice, latent)
            if self.training:
                scores = log_q + self._training_noise(latent)[:, :, : choice.most]
                weights = (scores / self.temperature).softmax(-1) * used
                quantized = torch.einsum("btks,ksd->bdt", weights, self.centroids[: choice.most].float())
                codes = _codes(scores, used)
            else:
                codes = self._choose(log_q, used)
                quantized = self._sum(codes)
            bits, losses = self._rates(log_q, used)
        return Quantized(quantized, codes, losses, bits)

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Codes ``int64 [B, K, T]``, drawn or the most probable ones by ``choice``; the same at every call.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            return self._choose(self._log_posterior(latent.float(), choice.most), self._used(choice, latent))

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the centroids, ``[B, D, T]``, of codes ``int64 [B, K, T]``; ``ABSENT`` adds nothing.

        Raises:
            ValueError: there are too many codebooks, or codes are out of range.
        """
        check_codes(codes, self.codebook_sizes)
        return self._sum(codes)

    def _log_posterior(self, latent: Tensor, most: int) -> Tensor:
        """``log q``, ``[B, T, K, size]``."""
        scores = torch.einsum("bdt,ksd->btks", latent, self.centroids[:most].float())
        return (scores + self.bias[:most].float()).log_softmax(-1)

    def _used(self, choice: CodebookChoice, latent: Tensor) -> Tensor:
        """Whether an item uses a codebook, ``bool [B, 1, K, 1]``."""
        counts = choice.counts(latent.shape[0], latent.device)
        return (torch.arange(choice.most, device=latent.device) < counts[:, None])[:, None, :, None]

    def _training_noise(self, latent: Tensor) -> Tensor:
        shape = (latent.shape[2], self.n_codebooks, self.codebook_size)
        uniform = uniform_like(latent, shape, self.seed, TRAINING, int(self.updates))
        self.updates.add_(1)
        return _gumbel(uniform)

    def _choose(self, log_q: Tensor, used: Tensor) -> Tensor:
        if self.choice == "argmax":
            return _codes(log_q, used)
        shape = (log_q.shape[1], self.n_codebooks, self.codebook_size)
        uniform = torch.rand(shape, generator=seeded_generator(self.seed, TESTING))[:, : log_q.shape[2]]
        return _codes(log_q + _gumbel(uniform).to(log_q.device), used)

    def _sum(self, codes: Tensor) -> Tensor:
        total = torch.zeros(codes.shape[0], codes.shape[2], self.dimension, device=codes.device)
        for centroids, chosen in zip(self.centroids[: codes.shape[1]].float(), codes.unbind(1), strict=True):
            total = total + centroids[chosen.clamp(min=0)] * (chosen != ABSENT)[..., None]
        return total.transpose(1, 2)

    def _rates(self, log_q: Tensor, used: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Bits per frame ``[B]``, and the two losses."""
        q = log_q.exp() * used
        log2_p = self.log_prior()[: log_q.shape[2]] / math.log(2)
        bits = -(q * log2_p).sum((2, 3)).mean(1)
        to_kbps = self.frame_rate / 1000
        posterior = -(q * log2_p.detach()).sum((2, 3)).mean() * to_kbps
        prior = -(q.detach() * log2_p).sum((2, 3)).mean() * to_kbps
        return bits, {"rate": (posterior - self.target_bitrate).abs(), "prior": prior}


def _gumbel(uniform: Tensor) -> Tensor:
    """Gumbel noise from uniform numbers in [0, 1), which are clamped away from 0 and 1, where the noise is infinite."""
    return -(-uniform.clamp(1e-12, 1 - 1e-7).log()).log()


def _codes(scores: Tensor, used: Tensor) -> Tensor:
    """The index of the highest score, ``[B, K, T]``; ``ABSENT`` where the codebook is not used."""
    best = scores.detach().argmax(-1)
    return best.where(used[..., 0], ABSENT).transpose(1, 2)
