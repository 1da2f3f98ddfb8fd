"""EnCodec's residual vector quantizer: each codebook codes the residual of those before it."""

from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import (
    CodebookChoice,
    check_codes,
    check_latent,
    most_of_all_processes,
    nominal_bits,
    read_choice,
)
from codeclab.quantizers.distributed import all_gather_batch
from codeclab.quantizers.ema_codebook import EMACodebook
from codeclab.quantizers.ema_update import learn_together
from codeclab.quantizers.gradient import PassThrough, check_pass_through, pass_through
from codeclab.quantizers.host_work import on_host
from codeclab.quantizers.precision import full_float32


class ResidualVQ(Quantizer):
    """Residual vector quantization with codebooks learnt by running averages (EnCodec, Section 3.2).

    With ``z_1 = z`` and ``z_(c+1) = z_c - q_c(z_c)``, the quantized latent is ``sum_c q_c(z_c)``; its gradient passes
    straight through to ``z``, once, over the total. In training mode ``losses["commitment"]`` is ::

        1/C sum_(c=1..C) mean over items, dimensions and frames of (z_c - q_c(z_c))^2

    with ``q_c`` constant and ``dz_c/dz = 1``, so that every step's commitment reaches the encoder. This is eq. (3) of
    the paper in the released code's normalization: eq. (3) sums over the ``C`` codebooks in use and over dimensions.
    In eval mode it is zero.

    Where each item has its own number of codebooks, an item's loss is the mean over its own codebooks and the batch's
    loss is the mean over items; codebooks learn only from the items that use them; codes beyond an item's number are
    ``ABSENT``, and ``codes`` has as many codebooks as the item that uses most (in training: over all processes).

    The released code differs from the paper in three points, in which this class follows the paper. Replaced entries
    survive the update of the same step. Entries from k-means survive the first update. The commitment of later
    codebooks has a gradient.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of codebooks.
        codebook_size: entries of each codebook.
        decay: decay of the codebooks' running averages per update, in [0, 1).
        epsilon: constant of the Laplace smoothing of the counts.
        kmeans_init: whether each codebook starts from k-means on the vectors of the first batch that uses it.
        kmeans_iterations: iterations of k-means (the released code runs 50; the distortion hardly falls after 10).
        dead_threshold: vectors per batch below which an entry is replaced; see ``EMACodebook``.
        dead_share: share of the mean count below which an entry is replaced, where that is the lower limit.
        seed: seed of every random draw.
        gradient: gradient estimator of the whole quantization, "straight_through" or "rotation" (Fifty et al. 2024).
        commitment: normalization of the commitment loss; "mean" is the released code's, "sum" is eq. (3) as printed, a
            sum over codebooks and dimensions, averaged over items and frames.

    Raises:
        ValueError: a number of codebooks, entries or iterations is below 1, or the decay is outside [0, 1).
    """

    codes_are_nested = True

    def __init__(
        self,
        dimension: int = 128,
        n_codebooks: int = 32,
        codebook_size: int = 1024,
        decay: float = 0.99,
        epsilon: float = 1e-5,
        kmeans_init: bool = True,
        kmeans_iterations: int = 10,
        dead_threshold: float = 2.0,
        dead_share: float = 0.5,
        seed: int = 0,
        gradient: PassThrough = "straight_through",
        commitment: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if min(dimension, n_codebooks, codebook_size, kmeans_iterations) < 1:
            raise ValueError(
                f"dimension {dimension}, n_codebooks {n_codebooks}, codebook_size {codebook_size} and "
                f"kmeans_iterations {kmeans_iterations} should all be at least 1"
            )
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; it should be at least 0 and below 1 (the paper: 0.99)")
        self.dimension = dimension
        self.n_codebooks = n_codebooks
        self.codebook_size = codebook_size
        self.decay = decay
        self.epsilon = epsilon
        self.kmeans_init = kmeans_init
        self.kmeans_iterations = kmeans_iterations
        self.dead_threshold = dead_threshold
        self.dead_share = dead_share
        self.seed = seed
        check_pass_through(gradient)
        if commitment not in ("mean", "sum"):
            raise ValueError(f'commitment is "{commitment}"; it is "mean" (released) or "sum" (eq. 3)')
        self.gradient: PassThrough = gradient
        self.commitment: Literal["mean", "sum"] = commitment
        self._updates: list[int] | None = None
        self.register_load_state_dict_post_hook(_forget_updates)
        learning = decay, epsilon, kmeans_init, kmeans_iterations, dead_threshold, dead_share, seed
        self.codebooks = nn.ModuleList(
            EMACodebook(dimension, codebook_size, *learning, layer) for layer in range(n_codebooks)
        )

    @property
    def codebook_sizes(self) -> list[int]:
        """Entries of each codebook, most significant first."""
        return [self.codebook_size] * self.n_codebooks

    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``; in training mode then update the codebooks from this batch.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        if self.training:
            choice = most_of_all_processes(choice, latent.device)
        with full_float32(latent.device):
            frames = latent.float().transpose(1, 2)
            total, codes, commitment = self._quantize(frames, choice, learn=self.training)
            quantized = pass_through(frames, total, self.gradient, dim=2)
        bits = nominal_bits(choice, self.codebook_sizes, latent.shape[0], latent.device)
        return Quantized(quantized.transpose(1, 2), codes, {"commitment": commitment}, bits)

    def why_not_recorded(self, per_item: bool) -> str | None:
        """Why a training step with it cannot be recorded; None where each batch has one number of codebooks."""
        return "the number of items that use a codebook differs from batch to batch" if per_item else None

    @torch.no_grad()
    def start_from(self, frames: Tensor, batch_frames: int) -> None:
        """Initialize each codebook by k-means on the residual of those before it.

        The residual is that of ``frames [N, D]`` of all processes. Codebooks that have been updated are not initialized
        again.
        """
        if not self.kmeans_init or any(self._read_updates()):
            return
        with full_float32(frames.device):
            residual = all_gather_batch(frames.float())
            share = batch_frames / len(frames)
            for codebook in self._first(self.n_codebooks):
                codebook.cluster(residual, share)
                residual = residual - codebook.lookup(codebook.search(residual))
        self._updates = None

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Codes ``int64 [B, K, T]`` of ``latent [B, D, T]``; updates nothing.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            return self._quantize(latent.float().transpose(1, 2), choice, learn=False)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the chosen entries, ``[B, D, T]``, of codes ``int64 [B, K, T]``; ``ABSENT`` adds nothing.

        Raises:
            ValueError: there are too many codebooks, or codes are out of range.
        """
        check_codes(codes, self.codebook_sizes)
        total = torch.zeros(codes.shape[0], codes.shape[2], self.dimension, device=codes.device)
        for codebook, chosen in zip(self._first(codes.shape[1]), codes.unbind(1), strict=True):
            total = total + codebook.lookup(chosen.clamp(min=0)) * (chosen != ABSENT)[..., None]
        return total.transpose(1, 2)

    def _quantize(self, frames: Tensor, choice: CodebookChoice, learn: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Sum of entries ``[B, T, D]``, codes ``[B, K, T]`` and commitment of ``frames [B, T, D]``."""
        batch, length, _ = frames.shape
        residual = frames.detach().contiguous()
        total = torch.zeros_like(residual)
        codes = torch.full((batch, choice.most, length), ABSENT, dtype=torch.int64, device=frames.device)
        codebooks = self._first(choice.most)
        updates = self._read_updates() if learn else []
        residuals: list[Tensor] = []
        choices: list[Tensor] = []
        totals: list[Tensor] = []
        for index, codebook in enumerate(codebooks):
            items = choice.items_using(index, frames.device)
            left = residual if items is None else residual.index_select(0, items)
            vectors = left.flatten(0, 1)
            if learn:
                codebook.start(vectors, updates[index])
            chosen = codebook.search(vectors)
            entries = codebook.lookup(chosen).view_as(left)
            if learn:
                residuals.append(vectors)
                choices.append(chosen)
            where = slice(None) if items is None else items
            codes[where, index] = chosen.view(left.shape[:2])
            # Not in place: ``vectors``, from which this codebook will learn, are a view of the residual.
            total = total + entries if items is None else total.index_add(0, items, entries)
            residual = residual - entries if items is None else residual.index_add(0, items, entries, alpha=-1)
            if learn:
                totals.append(total)
        commitment = frames.new_zeros(())
        if learn:
            errors = (frames - torch.stack(totals)).square().mean((2, 3))
            commitment = (errors * self._commitment_weights(choice, batch, frames.device)).sum()
            learn_together(codebooks, residuals, choices, updates)
            on_host(partial(self._count_update, choice.most))
        return total, codes, commitment

    def _read_updates(self) -> list[int]:
        """The number of updates of each codebook; read from the device once, and again after weights were loaded."""
        if self._updates is None:
            self._updates = torch.stack([book.updates for book in self._first(self.n_codebooks)]).tolist()
        return self._updates

    def _count_update(self, most: int) -> None:
        # In place: a recorded step reads this list for every batch.
        updates = self._read_updates()
        updates[:most] = [count + 1 for count in updates[:most]]

    def _commitment_weights(self, choice: CodebookChoice, batch: int, device: torch.device) -> Tensor:
        """The weight of each codebook's mean square error for each item, ``[B]``, or ``[K, B]`` where these differ."""
        if self.commitment == "sum":
            weights = torch.full((batch,), self.dimension / batch, device=device)
        else:
            weights = 1 / (choice.counts(batch, device) * batch)
        masks = choice.masks(device)
        return weights if masks is None else weights * masks

    def _first(self, count: int) -> list[EMACodebook]:
        return [cast(EMACodebook, codebook) for codebook in self.codebooks[:count]]


def _forget_updates(quantizer: nn.Module, _: object) -> None:
    cast(ResidualVQ, quantizer)._updates = None
